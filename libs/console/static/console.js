// What every page of the console has: live updates, toasts with undo, countdowns, charts. No page carries inline script.
"use strict";
(() => {
  const csrf = () => document.querySelector('meta[name="csrf-token"]').content;

  // htmx sends the session's token with everything that changes something.
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get") event.detail.headers["X-CSRF-Token"] = csrf();
  });

  async function post(path, fields) {
    const body = new URLSearchParams();
    for (const [name, value] of Object.entries(fields)) {
      for (const one of Array.isArray(value) ? value : [value]) body.append(name, one);
    }
    const answer = await fetch(path, { method: "POST", body, headers: { "X-CSRF-Token": csrf(), Accept: "application/json" } });
    if (answer.status === 401) { location.assign("/login"); return null; }
    const type = answer.headers.get("content-type") || "";
    const data = type.includes("json") ? await answer.json() : {};
    return { ok: answer.ok, status: answer.status, data };
  }

  // ---------------------------------------------------------------------------------------------------------- toasts
  function toast(text, { kind = "info", action = null, label = "", seconds = 5 } = {}) {
    const box = document.getElementById("gx-toasts");
    if (!box) return null;
    const item = document.createElement("div");
    item.className = `gx-toast gx-toast-${kind}`;
    item.setAttribute("role", "status");
    const words = document.createElement("span");
    words.textContent = text;
    item.append(words);
    const end = () => { clearInterval(timer); item.remove(); };
    let left = Math.ceil(seconds);
    let button = null;
    if (action) {
      button = document.createElement("button");
      button.type = "button";
      button.className = "btn btn-sm btn-light";
      button.addEventListener("click", () => { end(); action(); });
      item.append(button);
    }
    const show = () => { if (button) button.textContent = `${label} ${left}`; };
    show();
    const timer = setInterval(() => { left -= 1; if (left <= 0) end(); else show(); }, 1000);
    item.undo = action ? () => { end(); action(); } : null;
    box.append(item);
    while (box.children.length > 4) box.firstElementChild.remove();
    return item;
  }

  // ----------------------------------------------------------------------------------------------------- live updates
  function live() {
    const place = document.querySelector("[data-live]");
    if (!place) return;
    const source = new EventSource(place.dataset.live);
    const mark = document.getElementById("gx-live");
    const state = (on) => {
      if (!mark) return;
      mark.classList.toggle("gx-live-on", on);
      mark.title = on ? document.body.dataset.liveText : document.body.dataset.lostText;
    };
    source.addEventListener("hello", () => { state(true); document.body.dispatchEvent(new Event("gx-refresh")); });
    source.addEventListener("error", () => state(false));
    for (const name of (place.dataset.liveNames || "").split(" ").filter(Boolean)) {
      source.addEventListener(name, () => document.body.dispatchEvent(new Event("gx-refresh")));
    }
    addEventListener("pagehide", () => source.close());
  }

  // ------------------------------------------------------------------------------------------------------- countdowns
  // <time data-until="MS"> counts down, <time data-since="MS"> counts up, by the server's clock (body's difference at load).
  const skew = (() => {
    const now = document.querySelector("[data-now]");
    return now ? Number(now.dataset.now) - Date.now() : 0;
  })();
  function two(number) { return String(number).padStart(2, "0"); }
  function tick() {
    const now = Date.now() + skew;
    for (const mark of document.querySelectorAll("time[data-until], time[data-since]")) {
      const until = mark.dataset.until !== undefined;
      const ms = until ? Number(mark.dataset.until) - now : now - Number(mark.dataset.since);
      const all = Math.max(0, Math.floor(ms / 1000));
      const days = Math.floor(all / 86400), hours = Math.floor(all / 3600) % 24, minutes = Math.floor(all / 60) % 60;
      mark.textContent = days ? `${days}d ${two(hours)}:${two(minutes)}` : `${hours ? hours + ":" : ""}${two(minutes)}:${two(all % 60)}`;
      if (until) mark.classList.toggle("gx-over", ms <= 0);
    }
  }

  // ----------------------------------------------------------------------------------------------------------- charts
  function colour(name) {
    const style = getComputedStyle(document.documentElement);
    return style.getPropertyValue(`--gx-${name}`).trim() || style.getPropertyValue(`--tblr-${name}`).trim() || name;
  }
  function charts() {
    if (!window.echarts) return;
    const text = colour("chart-text"), line = colour("chart-line");
    for (const place of document.querySelectorAll("[data-chart]")) {
      const option = JSON.parse(place.dataset.chart);
      for (const series of option.series) {
        series.color = colour(series.color);
        series.itemStyle = { borderRadius: series.stack ? 0 : [0, 4, 4, 0] };
      }
      for (const axis of [option.xAxis, option.yAxis]) {
        axis.axisLabel = { color: text };
        axis.axisLine = { lineStyle: { color: line } };
        axis.splitLine = { lineStyle: { color: line } };
      }
      if (option.legend) option.legend.textStyle = { color: text };
      option.tooltip.renderMode = "richText";
      option.tooltip.confine = true;
      option.grid = { left: 8, right: 16, top: option.legend ? 36 : 8, bottom: 4, containLabel: true };
      option.animationDuration = 400;
      const chart = window.echarts.init(place, null, { renderer: "canvas" });
      chart.setOption(option);
      new ResizeObserver(() => chart.resize()).observe(place);
    }
  }

  document.addEventListener("DOMContentLoaded", () => { live(); charts(); tick(); setInterval(tick, 1000); });
  document.addEventListener("htmx:afterSwap", tick);
  window.gx = { post, toast, tick };
})();
