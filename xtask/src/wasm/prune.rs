//! Takes code out of the module that is linked but cannot run.

use anyhow::anyhow;
use walrus::{FunctionBuilder, FunctionId, FunctionKind, LocalFunction, Module};

/// Leptos can hydrate a page in two ways, at once or piece by piece as split-off parts of a module arrive.
/// Pages here do the first (`hydrate_body`). The second is kept alive by the method table of every erased
/// view: a sixth of the module.
const NEVER_CALLED: &str = "hydrate_async";

/// Bodies of fewer instructions stay: the linker may have merged a small function with an equal one that
/// is called, and the name tells of one of them only.
const SMALLEST: u64 = 64;

/// The module without the bodies of what is never called. wasm-bindgen drops what only they refer to.
pub fn prune(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut module =
        Module::from_buffer(module).map_err(|error| anyhow!("the module cannot be read: {error:#}"))?;
    let idle: Vec<FunctionId> = module
        .funcs
        .iter_local()
        .filter(|(id, body)| is_idle(&module, *id, body))
        .map(|(id, _)| id)
        .collect();
    for id in idle {
        let ty = module.types.get(module.funcs.get(id).ty());
        let (params, results) = (ty.params().to_vec(), ty.results().to_vec());
        let arguments = params.iter().map(|kind| module.locals.add(*kind)).collect();
        let mut empty = FunctionBuilder::new(&mut module.types, &params, &results);
        empty.func_body().unreachable();
        module.funcs.get_mut(id).kind = FunctionKind::Local(empty.local_func(arguments));
    }
    Ok(module.emit_wasm())
}

/// Whether the function is the body of such a method's future, rather than something generic over it.
fn is_idle(module: &Module, id: FunctionId, body: &LocalFunction) -> bool {
    let Some(name) = &module.funcs.get(id).name else { return false };
    let of_future = name.split_once(NEVER_CALLED).is_some_and(|(_, rest)| rest.contains("closure"));
    of_future && !name.contains("drop_in_place") && body.size() >= SMALLEST
}
