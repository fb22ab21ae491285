"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  document.documentElement.classList.add("has-script");

  // ------------------------------------------------------------------ the matrix: what is shown of it
  const rows = [...document.querySelectorAll("#rows tr")].map((row) => ({
    row, text: `${row.cells[0].textContent} ${row.cells[1].textContent}`.toLowerCase(),
    outcomes: new Set([...row.cells].slice(4).map((cell) => cell.className)),
  }));
  const filter = () => {
    const words = byId("find").value.toLowerCase().split(/\s+/), only = byId("only").value;
    let shown = 0;
    for (const one of rows) {
      const fits = words.every((word) => one.text.includes(word)) && (!only || one.outcomes.has(only));
      one.row.hidden = !fits;
      shown += fits;
    }
    byId("found").textContent = shown === rows.length ? "" : `${shown} of ${rows.length} specs`;
  };
  if (byId("find")) {
    byId("find").form.addEventListener("submit", (event) => event.preventDefault());
    byId("find").addEventListener("input", filter);
    byId("only").addEventListener("input", filter);
    filter();  // a browser may have kept what was typed
  }

  // ------------------------------------------------------------------ links open what they lead to
  const openTarget = () => {
    const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", openTarget);
  openTarget();
  addEventListener("beforeprint", () => document.querySelectorAll("details.failure").forEach((one) => { one.open = true; }));

  // ------------------------------------------------------------------ copying and saving
  document.querySelectorAll("button.copy").forEach((button) => button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {  // a browser that doesn't let a page of a file do so: what is to be copied is marked
      getSelection().selectAllChildren(code);
    }
  }));
  byId("save").addEventListener("click", async () => {
    const data = byId("archcheck-run");
    const text = data.dataset.packed ? await archcheckUnpacked(data.textContent) : data.textContent;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "archcheck.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();
