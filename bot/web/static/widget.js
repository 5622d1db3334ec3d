// <script src="https://…/widget.js" async data-lang="zh" data-label="在线客服"></script>
// Adds a chat button to the page and opens Hotline's chat in a frame.

(() => {
  const script = document.currentScript ?? document.querySelector('script[src$="/widget.js"]');
  const home = new URL(script.src).origin;
  const chinese = (script.dataset.lang ?? document.documentElement.lang ?? navigator.language).startsWith("zh");
  const label = script.dataset.label ?? (chinese ? "在线客服" : "Chat with us");
  const closing = chinese ? "关闭" : "Close";

  const host = document.createElement("div");
  const room = host.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet();
  style.replaceSync(`
    :host { position: fixed; right: 20px; bottom: 20px; z-index: 2147483000; font: 600 16px/1.3 system-ui, "PingFang SC", "Microsoft YaHei", sans-serif; }
    button { font: inherit; border: 0; border-radius: 99px; padding: 14px 22px; background: #0b6b63; color: #fff; cursor: pointer; box-shadow: 0 6px 24px rgb(0 0 0 / 24%); }
    button:focus-visible { outline: 3px solid #0b6b63; outline-offset: 3px; }
    iframe { display: block; width: min(400px, calc(100vw - 40px)); height: min(620px, calc(100vh - 120px)); margin-bottom: 12px; border: 1px solid #0002; border-radius: 16px; background: #fff; box-shadow: 0 12px 48px rgb(0 0 0 / 24%); }
    iframe[hidden] { display: none; }
    div { display: flex; justify-content: flex-end; }
  `);
  room.adoptedStyleSheets = [style];

  const row = document.createElement("div");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.setAttribute("aria-expanded", "false");
  row.append(button);
  room.append(row);

  let frame;
  button.addEventListener("click", () => {
    if (!frame) {
      frame = document.createElement("iframe");
      frame.title = label;
      frame.hidden = true;
      const address = new URL("/chat?embedded=1", home);
      if (script.dataset.lang) address.searchParams.set("lang", script.dataset.lang);
      frame.src = address;
      room.prepend(frame);
    }
    frame.hidden = !frame.hidden;
    button.textContent = frame.hidden ? label : closing;
    button.setAttribute("aria-expanded", String(!frame.hidden));
    if (!frame.hidden) frame.focus();
  });

  (document.body ?? document.documentElement).append(host);
})();
