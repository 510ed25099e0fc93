// Listens for "something changed" and swaps the page's content. Without it the page is complete, it just does not refresh itself.
(() => {
  const address = document.body.dataset.events;
  if (!address || !window.EventSource) return;
  let isBusy = false;
  let isStale = false;
  let shownAt = Date.now();

  const isEditing = () => document.activeElement && document.activeElement.matches("input, select, textarea");

  // What the person has folded or unfolded stays so; a part keeps its place by its order among all parts.
  const folds = (root) => [...root.querySelectorAll("details")].map((it) => [it.id || it.querySelector("summary")?.textContent, it.open]);

  async function refresh() {
    if (isBusy || isEditing()) { isStale = true; return; }
    isBusy = true;
    isStale = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const open = new Map(folds(document));
      for (const id of ["strip", "notices", "main"]) {
        const fresh = page.getElementById(id);
        const old = document.getElementById(id);
        if (!fresh || !old) continue;
        for (const part of fresh.querySelectorAll("details")) {
          const key = part.id || part.querySelector("summary")?.textContent;
          if (open.has(key)) part.open = open.get(key);
        }
        old.replaceWith(document.adoptNode(fresh));
      }
      shownAt = Date.now();
    } catch {
      // The server is away for a moment: the page stays as it was, and is asked for again.
      isStale = true;
    } finally {
      isBusy = false;
    }
  }

  // A browser has six connections for a site: a page that was left, or that nobody sees, must not hold one of them.
  let source = null;
  const listen = () => {
    if (source || document.hidden) return;
    source = new EventSource(address);
    source.addEventListener("changed", refresh);
  };
  const stop = () => {
    source?.close();
    source = null;
  };
  const comeBack = () => {
    isStale = true;
    listen();
  };
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => { if (event.persisted) comeBack(); });
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else comeBack(); });
  listen();
  // "3 min ago" must stay true on a page that is open all day.
  setInterval(() => { if (!document.hidden && (isStale || Date.now() - shownAt > 60000)) refresh(); }, 1000);
})();
