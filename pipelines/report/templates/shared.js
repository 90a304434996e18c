"use strict";
const all = (what, from = document) => [...from.querySelectorAll(what)];
const one = (what, from = document) => from.querySelector(what);
const count = (n) => n.toLocaleString("en-US");
const number = (x) => Number(x.toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 6 }).replace("-", "\u2212");

// Light, dark, or as the system says.
function theme() {
  let kept = "auto";
  try { kept = localStorage.getItem("ceteris-theme") || "auto"; } catch { /* a file may have no storage */ }
  const set = (to) => { if (to === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = to; };
  set(kept);
  for (const input of all('input[name="theme"]')) {
    input.checked = input.value === kept;
    input.addEventListener("change", () => {
      set(input.value);
      try { localStorage.setItem("ceteris-theme", input.value); } catch { /* the same */ }
    });
  }
}

// The exact numbers of a mark, under the pointer or by arrow keys in a chart that has the focus.
function tips() {
  const tip = one("#tip");
  const told = (mark) => mark.dataset.tip || mark.getAttribute("aria-label");
  const show = (mark, x, y) => {
    tip.textContent = told(mark);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - box.width - 8))}px`;
    tip.style.top = `${y + 16 + box.height > innerHeight ? y - box.height - 10 : y + 16}px`;
  };
  const marks = (chart) => all(".role-mark [aria-label]", chart).filter((mark) => !mark.closest("defs"));
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest?.("svg.chart .role-mark [aria-label], [data-tip]");
    if (mark) show(mark, event.clientX, event.clientY); else tip.hidden = true;
  });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  for (const chart of all("svg.chart")) {
    let at = -1;
    const leave = () => { tip.hidden = true; one(".picked", chart)?.classList.remove("picked"); at = -1; };
    chart.addEventListener("blur", leave);
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") leave();
      const there = marks(chart);
      if (!step || !there.length) return;
      event.preventDefault();
      one(".picked", chart)?.classList.remove("picked");
      at = (at + step + there.length) % there.length;
      there[at].classList.add("picked");
      const box = there[at].getBoundingClientRect();
      show(there[at], box.left + box.width / 2, box.top + box.height / 2);
    });
  }
}
