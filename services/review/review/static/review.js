// Queue and task page: selection, keyboard, decisions with undo. Every action goes through one function, `act`.
"use strict";
(() => {
  const list = document.getElementById("rv-list");
  const page = document.getElementById("rv-task");
  const dialog = document.getElementById("rv-reject");
  const picked = new Set();
  let current = null;        // key of the row the keyboard is on
  let lastUndo = null;       // what the key U takes back
  let pendingReject = null;  // what the open dialog will reject

  const rows = () => [...document.querySelectorAll(".rv-row")];
  const typing = (target) => target.matches("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");

  function paint() {
    const known = new Set(rows().map((row) => row.dataset.key));
    for (const key of [...picked]) if (!known.has(key)) picked.delete(key);
    for (const row of rows()) {
      row.classList.toggle("rv-current", row.dataset.key === current);
      row.classList.toggle("rv-picked", picked.has(row.dataset.key));
      const box = row.querySelector("input[type=checkbox]");
      if (box) box.checked = picked.has(row.dataset.key);
    }
    const bar = document.getElementById("rv-bar");
    if (bar) { bar.hidden = picked.size === 0; document.getElementById("rv-count").textContent = picked.size; }
  }
  function move(step) {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.dataset.key === current);
    const next = all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
    current = next.dataset.key;
    paint();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
  function pick(key, on) {
    const row = rows().find((one) => one.dataset.key === key);
    const box = row && row.querySelector("input[type=checkbox]");
    if (!box || box.disabled) return;
    if (on) picked.add(key); else picked.delete(key);
    paint();
  }
  function chosen() {
    if (page) {
      const together = document.getElementById("rv-together");
      const seen = page.dataset.seen;
      return together && together.checked ? { cluster: page.dataset.cluster, seen } : { task: page.dataset.task, seen };
    }
    // What the rows show goes with the decision: the server refuses it where something joined them since.
    const shown = (keys) => ({ cluster: keys, seen: rows().filter((row) => keys.includes(row.dataset.key)).map((row) => row.dataset.seen) });
    if (picked.size) return shown([...picked]);
    return current ? shown([current]) : null;
  }

  async function act(action, what, extra = {}) {
    if (!what) return;
    const answer = await window.gx.post(`/act/${action}`, { ...what, ...extra });
    if (!answer) return;
    const told = answer.data;
    if (!told.text) { window.gx.toast(document.body.dataset.failedText, { kind: "danger" }); return; }
    if (told.undo) {
      const tasks = told.done;
      const item = window.gx.toast(told.text, {
        kind: told.kind, seconds: told.undo.seconds, label: told.undo.label,
        action: () => { lastUndo = null; act("undo", { task: tasks }); },
      });
      lastUndo = item && item.undo;
      setTimeout(() => { if (lastUndo === (item && item.undo)) lastUndo = null; }, told.undo.seconds * 1000);
    } else if (told.again && page) {
      window.gx.toast(told.text, { kind: "warning", seconds: 30, label: told.again, action: () => location.reload() });
    } else {
      window.gx.toast(told.text, { kind: told.kind || (answer.ok ? "success" : "warning") });
    }
    if (!answer.ok) return;
    if (page) after(action, told); else { picked.clear(); paint(); document.body.dispatchEvent(new Event("gx-refresh")); }
  }
  // On the task page a decision leads on to the next group; the toast with its undo goes with it.
  function after(action, told) {
    if (action === "approve" || action === "reject") {
      sessionStorage.setItem("rv-undo", JSON.stringify({ ...told, until: Date.now() + told.undo.seconds * 1000 }));
      location.assign(page.dataset.after);
    } else if (action === "undo") {
      location.assign(told.done.length === 1 ? `/tasks/${told.done[0]}` : "/queue");
    } else {
      location.reload();
    }
  }
  function carryOver() {
    const kept = sessionStorage.getItem("rv-undo");
    if (!kept) return;
    sessionStorage.removeItem("rv-undo");
    const told = JSON.parse(kept);
    const seconds = Math.floor((told.until - Date.now()) / 1000);
    if (seconds < 1) return;
    const item = window.gx.toast(told.text, { kind: told.kind, seconds, label: told.undo.label, action: () => act("undo", { task: told.done }) });
    lastUndo = item && item.undo;
  }

  // ---------------------------------------------------------------------------------------------------------- reject
  function askReject() {
    if (!dialog) return;
    pendingReject = chosen();
    if (!pendingReject) return;
    const form = document.getElementById("rv-reject-form");
    form.reset();
    filterStandards("");
    document.getElementById("rv-confirm").disabled = true;
    dialog.showModal();
    document.getElementById("rv-standard-filter").focus();
  }
  function filterStandards(text) {
    const words = text.trim().toLowerCase();
    const shown = [];
    for (const label of dialog.querySelectorAll(".rv-standard")) {
      label.hidden = words !== "" && !label.dataset.words.toLowerCase().includes(words);
      if (!label.hidden) shown.push(label);
    }
    // One left: it is meant.
    if (words && shown.length === 1) { shown[0].querySelector("input").checked = true; document.getElementById("rv-confirm").disabled = false; }
  }
  function setUpDialog() {
    if (!dialog) return;
    const form = document.getElementById("rv-reject-form");
    document.getElementById("rv-standard-filter").addEventListener("input", (event) => filterStandards(event.target.value));
    form.addEventListener("change", () => { document.getElementById("rv-confirm").disabled = !form.elements.cite.value; });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!form.elements.cite.value) return;
      dialog.close();
      act("reject", pendingReject, { cite: form.elements.cite.value, note: form.elements.note.value });
    });
    for (const button of dialog.querySelectorAll("[data-close]")) button.addEventListener("click", () => dialog.close());
  }

  // -------------------------------------------------------------------------------------------------------- keyboard
  function decide(action) {
    if (action === "reject") askReject();
    else if (action === "approve" && page) act("approve", chosen(), { note: document.getElementById("rv-approve-note").value });
    else act(action, chosen());
  }
  const mayDecide = () => (page ? page.hasAttribute("data-decidable") : Boolean(document.getElementById("rv-bar")));
  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || (dialog && dialog.open)) return;
    if (typing(event.target)) { if (event.key === "Escape") event.target.blur(); return; }
    const key = event.key.toLowerCase();
    const go = (id) => { const link = document.getElementById(id); if (link && !link.classList.contains("disabled")) location.assign(link.href); };
    const keys = {
      j: () => (page ? go("rv-after") : move(1)),
      k: () => (page ? go("rv-before") : move(-1)),
      enter: () => { const row = rows().find((one) => one.dataset.key === current); if (row) location.assign(row.dataset.href); },
      x: () => { if (current) pick(current, !picked.has(current)); },
      c: () => { if (mayDecide()) { const own = page && page.querySelector('[data-act="release"]'); decide(own ? "release" : "claim"); } },
      a: () => { if (mayDecide()) decide("approve"); },
      r: () => { if (mayDecide()) decide("reject"); },
      u: () => { const button = document.getElementById("rv-undo"); if (lastUndo) lastUndo(); else if (button) button.click(); },
      escape: () => { picked.clear(); paint(); },
    };
    if (key === "enter" && event.target.closest("a, button, input")) return;
    if (keys[key]) { event.preventDefault(); keys[key](); }
  }

  document.addEventListener("DOMContentLoaded", () => {
    setUpDialog();
    carryOver();
    document.addEventListener("keydown", onKey);
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-act]");
      if (button) { decide(button.dataset.act); return; }
      const reveal = event.target.closest("[data-reveal]");
      if (reveal) { show(reveal); return; }
      const row = event.target.closest(".rv-row");
      if (!row) return;
      current = row.dataset.key;
      if (event.target.closest(".rv-check")) return;
      if (!event.target.closest("a")) location.assign(row.dataset.href);
    });
    document.addEventListener("change", (event) => {
      const box = event.target.closest(".rv-check input");
      if (box) pick(box.value, box.checked);
    });
    document.addEventListener("htmx:afterSwap", paint);
    const undo = document.getElementById("rv-undo");
    if (undo) {
      undo.addEventListener("click", () => act("undo", { task: page.dataset.task }));
      const end = setInterval(() => { if (Date.now() > Number(undo.dataset.until)) { undo.remove(); clearInterval(end); } }, 500);
    }
    if (list) paint();
  });
  async function show(button) {
    const [chunk, index] = button.dataset.reveal.split(":");
    const answer = await window.gx.post(`/tasks/${page.dataset.task}/reveal`, { chunk, index });
    if (answer && answer.ok) {
      document.querySelector(`[data-number="${button.dataset.reveal}"]`).textContent = answer.data.number;
      button.remove();
    }
  }
})();
