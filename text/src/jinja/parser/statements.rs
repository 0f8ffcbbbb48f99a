//! Statements: what stands in `{% … %}`.

use std::sync::Arc;

use super::{Parser, Uses};
use crate::jinja::ast::{
    Body, Expression, ExpressionKind, For, Macro, Statement, StatementKind as Kind, Target,
};
use crate::jinja::error::Result;
use crate::jinja::lexer::Token;

impl Parser {
    pub(super) fn statement(&mut self, body: &mut Body) -> Result<()> {
        let line = self.line();
        let Token::Name(tag) = self.peek().clone() else { return self.fail("tag name expected") };
        self.next();
        let kind = match &*tag {
            "set" => self.set()?,
            "if" => self.branches()?,
            "for" => self.for_loop()?,
            "macro" => {
                let name = self.expect_name()?;
                let (parameters, defaults) = self.signature()?;
                Kind::Macro(Arc::new(self.macro_body(Some(name), parameters, defaults, &["endmacro"])?))
            }
            "call" => self.call_block()?,
            "generation" => {
                self.marks_generation = true;
                let body = self.macro_body(None, Vec::new(), Vec::new(), &["endgeneration"])?;
                Kind::Generation(Arc::new(body))
            }
            "filter" => {
                let input = Expression { line, kind: ExpressionKind::Input };
                let mut value = self.filter(input)?;
                while self.skip_operator("|") {
                    self.link()?;
                    value = self.filter(value)?;
                }
                Kind::Filter(value, self.body_until(&["endfilter"])?)
            }
            "with" => self.with()?,
            "print" => return self.print(body, line),
            "block" => self.block()?,
            "autoescape" => {
                let wanted = self.expression(true)?;
                if !matches!(wanted.kind, ExpressionKind::Bool(false)) {
                    return self.fail("autoescape is not supported");
                }
                Kind::Scope(self.body_until(&["endautoescape"])?)
            }
            "break" | "continue" => {
                if self.loops == 0 {
                    return self.fail(format!("'{tag}' outside loop"));
                }
                if &*tag == "break" { Kind::Break } else { Kind::Continue }
            }
            "include" => self.other_template("include")?,
            "import" => self.other_template("import")?,
            "from" => self.other_template("from")?,
            "extends" => self.other_template("extends")?,
            _ => return self.unknown_tag(&tag, line),
        };
        body.push(Statement { line, kind });
        Ok(())
    }

    /// Statements that load other templates fail where they are reached, as they do without a loader.
    fn other_template(&mut self, tag: &'static str) -> Result<Kind> {
        while !matches!(self.peek(), Token::BlockEnd | Token::End) {
            self.next();
        }
        Ok(Kind::OtherTemplate(tag))
    }

    fn print(&mut self, body: &mut Body, line: usize) -> Result<()> {
        while *self.peek() != Token::BlockEnd {
            body.push(Statement { line, kind: Kind::Output(self.expression(true)?) });
            if *self.peek() != Token::BlockEnd {
                self.expect_operator(",")?;
            }
        }
        Ok(())
    }

    fn target_part(&mut self, attributes: bool) -> Result<Target> {
        if self.is_operator("(") {
            self.next();
            let target = self.deeper(|parser| parser.target(attributes))?;
            self.expect_operator(")")?;
            return Ok(target);
        }
        let Token::Name(name) = self.peek().clone() else {
            return self.fail(format!("can't assign to '{}'", self.describe()));
        };
        self.next();
        if attributes && self.skip_operator(".") {
            return Ok(Target::Attribute(name, self.expect_name()?));
        }
        if matches!(&*name, "true" | "false" | "none" | "True" | "False" | "None") {
            return self.fail("can't assign to 'const'");
        }
        Ok(Target::Name(name))
    }

    fn target(&mut self, attributes: bool) -> Result<Target> {
        let first = self.target_part(attributes)?;
        if !self.is_operator(",") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_operator(",") {
            if self.is_name("in") || self.is_operator("=") || self.is_operator(")") {
                break;
            }
            parts.push(self.target_part(attributes)?);
        }
        Ok(Target::Tuple(parts))
    }

    fn set(&mut self) -> Result<Kind> {
        let line = self.line();
        let target = self.target(true)?;
        if self.skip_operator("=") {
            return Ok(Kind::Set(target, self.tuple(true, false)?));
        }
        let mut filters = None;
        while self.skip_operator("|") {
            self.link()?;
            let input = filters.take().unwrap_or(Expression { line, kind: ExpressionKind::Input });
            filters = Some(self.filter(input)?);
        }
        Ok(Kind::SetBlock(target, filters, self.body_until(&["endset"])?))
    }

    fn branches(&mut self) -> Result<Kind> {
        let mut branches = Vec::new();
        loop {
            self.optional += 1;
            let condition = self.tuple(false, false)?;
            branches.push((condition, self.rest(&["elif", "else", "endif"])?));
            let more = self.skip_name("elif");
            let otherwise = if !more && self.skip_name("else") { self.rest(&["endif"])? } else { Vec::new() };
            self.optional -= 1;
            if more {
                continue;
            }
            self.next();
            return Ok(Kind::If(branches, otherwise));
        }
    }

    fn for_loop(&mut self) -> Result<Kind> {
        let target = self.target(false)?;
        if matches!(&target, Target::Name(name) if &**name == "loop") {
            return self.fail("Can't assign to special loop variable in for-loop target");
        }
        self.expect_keyword("in")?;
        let iterable = self.tuple(false, false)?;
        let condition = if self.skip_name("if") { Some(self.expression(true)?) } else { None };
        let recursive = self.skip_name("recursive");
        self.loops += 1;
        let optional = std::mem::take(&mut self.optional);
        let body = self.rest(&["endfor", "else"])?;
        self.loops -= 1;
        let otherwise = if self.skip_name("else") { self.rest(&["endfor"])? } else { Vec::new() };
        self.optional = optional;
        self.next();
        Ok(Kind::For(Arc::new(For { target, iterable, condition, recursive, body, otherwise })))
    }

    /// A macro's body, behind its head.
    fn macro_body(
        &mut self,
        name: Option<Arc<str>>,
        parameters: Vec<Arc<str>>,
        defaults: Vec<Expression>,
        end: &'static [&'static str],
    ) -> Result<Macro> {
        // The body is a function of its own, which no loop outside can be ended from.
        let loops = std::mem::take(&mut self.loops);
        self.uses.push(Uses::default());
        let body = self.body_until(end)?;
        self.loops = loops;
        let mut uses = self.uses.pop().unwrap_or_default();
        if let Some(outer) = self.uses.last_mut() {
            outer.caller |= uses.caller;
            outer.varargs |= uses.varargs;
            outer.kwargs |= uses.kwargs;
        }
        for parameter in &parameters {
            match &**parameter {
                "varargs" => uses.varargs = false,
                "kwargs" => uses.kwargs = false,
                _ => {}
            }
        }
        let explicit = parameters.iter().position(|parameter| &**parameter == "caller");
        if let Some(place) = explicit.filter(|_| uses.caller) {
            if place < parameters.len() - defaults.len() {
                return self.fail(
                    "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.",
                );
            }
            uses.caller = false;
        }
        let Uses { caller: uses_caller, varargs: uses_varargs, kwargs: uses_kwargs } = uses;
        Ok(Macro { name, parameters, defaults, body, uses_caller, uses_varargs, uses_kwargs })
    }

    fn signature(&mut self) -> Result<(Vec<Arc<str>>, Vec<Expression>)> {
        let (mut parameters, mut defaults) = (Vec::new(), Vec::new());
        self.expect_operator("(")?;
        while !self.is_operator(")") {
            if !parameters.is_empty() {
                self.expect_operator(",")?;
            }
            parameters.push(self.expect_name()?);
            if self.skip_operator("=") {
                defaults.push(self.expression(true)?);
            } else if !defaults.is_empty() {
                return self.fail("non-default argument follows default argument");
            }
        }
        self.expect_operator(")")?;
        Ok((parameters, defaults))
    }

    fn call_block(&mut self) -> Result<Kind> {
        let (parameters, defaults) =
            if self.is_operator("(") { self.signature()? } else { Default::default() };
        let call = self.expression(true)?;
        if !matches!(call.kind, ExpressionKind::Call(..)) {
            return self.fail("expected call");
        }
        let caller = self.macro_body(None, parameters, defaults, &["endcall"])?;
        Ok(Kind::Call(call, Arc::new(caller)))
    }

    fn with(&mut self) -> Result<Kind> {
        let mut values = Vec::new();
        while *self.peek() != Token::BlockEnd {
            if !values.is_empty() {
                self.expect_operator(",")?;
            }
            let target = self.target_part(false)?;
            self.expect_operator("=")?;
            values.push((target, self.expression(true)?));
        }
        Ok(Kind::With(values, self.body_until(&["endwith"])?))
    }

    fn block(&mut self) -> Result<Kind> {
        let name = self.expect_name()?;
        while self.skip_name("scoped") || self.skip_name("required") {}
        let loops = std::mem::take(&mut self.loops);
        let body = self.body_until(&["endblock"])?;
        self.loops = loops;
        self.skip_name(&name);
        if self.blocks.insert(name.clone(), body).is_some() {
            return self.fail(format!("block '{name}' defined twice"));
        }
        Ok(Kind::Block(name))
    }
}
