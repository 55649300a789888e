"use strict";
(function () {
  const root = document.documentElement, store = { get() { try { return localStorage.getItem("theme"); } catch { return null; } },
    set(v) { try { v ? localStorage.setItem("theme", v) : localStorage.removeItem("theme"); } catch { /* private window */ } } };
  const theme = (v) => { if (v) root.dataset.theme = v; else delete root.dataset.theme; };
  theme(store.get());

  function clock(s, units) {
    s = Math.max(0, Math.round(s));
    const parts = [[86400, 0], [3600, 1], [60, 2], [1, 3]], out = [];
    for (const [size, at] of parts) {
      const n = Math.floor(s / size); s -= n * size;
      if (n || (at === 3 && !out.length)) out.push(units[at].replace("{n}", n)); else if (out.length) break;
      if (out.length === 2 || (out.length && at === 2)) break;
    }
    return out.join(" ");
  }
  function age() {
    const el = document.querySelector("[data-asof]");
    if (!el) return;
    const s = (Date.now() - Date.parse(el.dataset.asof)) / 1000, out = el.querySelector(".age");
    out.textContent = "· " + el.dataset.ago.replace("{duration}", clock(s, el.dataset.units.split("|")));
    el.classList.toggle("old", s > Number(el.dataset.limit));
  }
  function times(scope) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone, lang = root.dataset.locale;
    const day = { day: "numeric", month: "short" }, min = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const forms = { short: min, clock: { ...min, second: "2-digit" }, long: { ...day, ...min }, exact: { ...day, ...min, second: "2-digit" }, full: { ...day, ...min, year: "numeric" } };
    for (const el of scope.querySelectorAll("time[data-f]")) {
      const when = new Date(el.dateTime);
      el.title = el.dateTime.slice(0, 19).replace("T", " ") + " UTC";
      el.textContent = new Intl.DateTimeFormat(lang, { ...forms[el.dataset.f], timeZone: zone }).format(when);
    }
    months(scope, new Intl.DateTimeFormat(lang, { year: "numeric", month: "long", timeZone: zone }));
    for (const el of scope.querySelectorAll("[data-zone]")) el.textContent = el.dataset.zone.replace("{zone}", zone.replaceAll("_", " "));
  }
  // A row that began in another month where the reader is moves under that month's heading.
  function months(scope, form) {
    const old = [...scope.querySelectorAll("section.month")];
    const rows = old.flatMap((section) => [...section.querySelectorAll(".rows > li")]);
    let last;
    for (const row of rows) {
      const name = form.format(new Date(row.querySelector("time").dateTime));
      if (last?.firstElementChild.textContent !== name) {
        last = old[0].cloneNode(true);
        last.firstElementChild.textContent = name;
        last.querySelector(".rows").replaceChildren();
        old[0].before(last);
      }
      last.querySelector(".rows").append(row);
    }
    for (const section of old) section.remove();
  }
  async function refresh() {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of ["main", ".asof"]) {
        const now = document.querySelector(part), then = next.querySelector(part);
        if (!now || !then) continue;
        for (const d of now.querySelectorAll("details[open][id]")) { const same = then.querySelector("#" + CSS.escape(d.id)); if (same) same.open = true; }
        const focus = now.contains(document.activeElement) && document.activeElement.closest("[id]");
        times(then); now.replaceWith(then);
        if (focus) { const el = document.getElementById(focus.id); (el?.querySelector("summary, a") || el)?.focus({ preventScroll: true }); }
      }
      document.title = next.title;
      age();
    } catch { /* the age says how old the page is */ }
  }
  addEventListener("DOMContentLoaded", () => {
    times(document); age(); setInterval(age, 1000); setInterval(refresh, 15000);
    addEventListener("visibilitychange", refresh);
    const button = document.querySelector("button.theme");
    if (!button) return;
    button.hidden = false;
    const label = () => { button.title = button.dataset[root.dataset.theme || "auto"]; button.setAttribute("aria-label", button.title); };
    label();
    button.addEventListener("click", () => {
      const next = { undefined: "light", light: "dark", dark: "" }[root.dataset.theme];
      theme(next); store.set(next); label();
    });
  });
})();
