// Takes the page over: its modules are compiled as they arrive, while the page itself is still being read.
(main) => {
    const ahead = new Map();
    const compile = (url) => WebAssembly.compileStreaming(fetch(url));
    for (const { href } of document.querySelectorAll('link[rel="preload"][as="fetch"]')) {
        const module = compile(href);
        // Whoever asks for it is told.
        module.catch(() => {});
        ahead.set(href, module);
    }
    // One that could not be had is fetched anew when it is asked for again.
    globalThis.compiled = ({ href }) => {
        const module = ahead.get(href) ?? compile(href);
        ahead.delete(href);
        return module;
    };
    const parsed = new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
    import(`${main}.js`).then(async (page) => {
        await page.default({ module_or_path: compiled(new URL(`${main}.wasm`, document.baseURI)) });
        await parsed;
        page.hydrate();
    });
}
