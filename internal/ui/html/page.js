"use strict";
// Texts of hosts reach the page as text nodes only: nothing here makes markup of a string.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const node = (tag, attributes, ...children) => {
    const e = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== undefined && value !== false) e.setAttribute(name, value === true ? "" : value);
    }
    for (const c of children) if (c !== null && c !== undefined && c !== "") e.append(c);
    return e;
  };
  const many = (n, noun) => n + " " + noun + (n === 1 ? "" : "s");
  const duration = (ms) => {
    if (ms < 9950) return (ms / 1000).toFixed(1) + " s";
    const s = Math.floor(ms / 1000);
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + "m" + String(s % 60).padStart(2, "0") + "s";
    return Math.floor(s / 3600) + "h" + String(Math.floor(s / 60) % 60).padStart(2, "0") + "m";
  };
  const status = (v) => node("span", { class: v.t }, node("span", { class: "symbol", "aria-hidden": "true" }, v.s), " " + v.w);
  const diff = (lines) =>
    node("div", { class: "diff", tabindex: "0" }, ...lines.map(([depth, tone, sign, text]) =>
      node("div", { class: "l" + depth + " " + tone }, sign ? node("b", {}, sign) : "", sign ? " " + text : text)));

  // The list of hosts and its filter.
  const cells = [...document.querySelectorAll("#grid > li")];
  const find = byId("find"), buttons = [...document.querySelectorAll("#filter button")];
  const texts = cells.map((c) => c.textContent.toLowerCase());
  let wanted = "";
  const shown = () => cells.filter((c) => !c.hidden);
  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    cells.forEach((c, i) => {
      c.hidden = (wanted !== "" && c.dataset.v !== wanted) || !words.every((w) => texts[i].includes(w));
    });
    const n = shown().length;
    byId("found").textContent = n === cells.length ? many(n, "host") : n + " of " + many(cells.length, "host");
    byId("none").hidden = n > 0;
    moves();
  };
  for (const b of buttons) {
    b.addEventListener("click", () => {
      wanted = b.dataset.v;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === b));
      filter();
    });
  }
  find.addEventListener("input", filter);
  byId("filter").addEventListener("submit", (e) => e.preventDefault());

  // One host: its steps on one axis of time.
  let current = -1;
  const note = (n) => {
    const list = node("dl", {});
    const field = (name, value) => { if (value) list.append(node("div", {}, node("dt", {}, name), node("dd", {}, value))); };
    field("why", n.m);
    field("command", n.c && node("pre", { tabindex: "0" }, n.c));
    field("exit", n.x && "status " + n.x);
    field("output", n.o && node("pre", { tabindex: "0" }, n.o));
    field("next", n.h);
    return list;
  };
  const axis = (from, to) => {
    const span = Math.max(to - from, 1);
    let unit = 1;
    for (const u of [100, 200, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5]) {
      unit = u;
      if (span / u <= 5) break;
    }
    const line = node("div", { class: "axis" });
    for (let t = Math.ceil(from / unit) * unit; t < to; t += unit) {
      if ((t - from) / span > 0.9) break;
      const tick = node("span", {}, unit < 1000 ? duration(t) : duration(t).replace(".0 s", " s"));
      tick.style.left = (100 * (t - from)) / span + "%";
      line.append(tick);
    }
    return line;
  };
  const bar = (tone, start, took, from, to) => {
    const line = node("div", { class: "track", "aria-hidden": "true" });
    if (start >= 0) {
      const span = Math.max(to - from, 1), i = node("i", { class: tone });
      i.style.left = (100 * (start - from)) / span + "%";
      i.style.width = Math.min((100 * took) / span, 100 - (100 * (start - from)) / span) + "%";
      line.append(i);
    }
    return line;
  };
  const row = (id, [step, plan, verdict, start, took, failed], timed, from, to) => {
    const [addr, place] = data.steps[step], v = data.verdicts[verdict];
    const why = plan >= 0 ? data.plans[plan].r : "", lines = plan >= 0 ? data.plans[plan].d : [];
    const more = lines.length > 0 || failed >= 0;
    const rows = [];
    const name = node("td", {});
    if (more) {
      const under = node("tr", { class: "note", id: id, hidden: true }, node("td", { colspan: timed ? 4 : 2 }));
      const b = node("button", { type: "button", class: "more", "aria-expanded": "false", "aria-controls": id }, addr);
      b.addEventListener("click", () => {
        const cell = under.firstChild;
        if (!cell.firstChild) {
          if (failed >= 0) cell.append(note(data.notes[failed]));
          if (why) cell.append(node("p", { class: "faint" }, why));
          if (lines.length > 0) cell.append(diff(lines));
        }
        under.hidden = !under.hidden;
        b.setAttribute("aria-expanded", String(!under.hidden));
      });
      name.append(b);
      rows.push(under);
    } else {
      name.append(node("code", { class: "flat" }, addr));
    }
    if (place) name.append(node("code", { class: "place" }, place));
    const first = node("tr", { class: v.q ? "quiet" : false }, name, node("td", { class: "result" }, status(v), why && !more ? node("span", { class: "faint" }, why) : ""));
    if (timed) {
      first.append(node("td", { class: "number" }, start >= 0 || took > 0 ? duration(took) : ""), node("td", { class: "line" }, bar(v.t, start, took, from, to)));
    }
    return [first, ...rows];
  };
  // The steps that needed nothing stand aside until somebody asks for them.
  const fold = (b, quiet) => {
    const show = (on) => {
      for (const q of quiet) {
        q.hidden = !on;
        const under = q.nextElementSibling;
        if (!on && under && under.className === "note") {
          under.hidden = true;
          q.querySelector(".more").setAttribute("aria-expanded", "false");
        }
      }
      b.setAttribute("aria-expanded", String(on));
      b.textContent = (on ? "Hide " : "Show ") + many(quiet.length, "step") + " that needed nothing";
    };
    b.addEventListener("click", () => show(b.getAttribute("aria-expanded") === "false"));
    show(false);
  };
  const table = (h, i) => {
    const timed = h.s.some((s) => s[3] >= 0);
    const from = h.b, to = Math.max(h.e, ...h.s.map((s) => s[3] + s[4]));
    const head = node("tr", {}, node("th", { scope: "col" }, "Step"), node("th", { scope: "col" }, "Result"));
    const body = node("tbody", {});
    if (timed) {
      head.append(node("th", { scope: "col", class: "number" }, "Took"), node("th", { scope: "col", class: "line" }, axis(from, to)));
      if (h.p >= 0) {
        body.append(node("tr", {}, node("td", {}, node("span", { class: "flat" }, "connect and plan")), node("td", {}),
          node("td", { class: "number" }, duration(h.p - h.b)), node("td", { class: "line" }, bar("calm", h.b, h.p - h.b, from, to))));
      }
    }
    h.s.forEach((s, n) => body.append(...row("note-" + i + "-" + n, s, timed, from, to)));
    return node("table", {}, node("caption", {}, timed ? "Times are from the start of the run." : ""), node("thead", {}, head), body);
  };
  const host = (i) => {
    const h = data.hosts[i], section = byId("host"), body = byId("host-body");
    if (current >= 0) byId("cell-" + current).removeAttribute("aria-current");
    current = i;
    if (cells.length > 1) byId("cell-" + i).setAttribute("aria-current", "true");
    byId("host-title").replaceChildren(node("span", { class: "name" }, h.n), " ", status(data.verdicts[h.v]));
    const facts = node("dl", { class: "facts host-facts" });
    for (const [name, value] of h.f) facts.append(node("div", {}, node("dt", {}, name), node("dd", {}, value)));
    body.replaceChildren(facts);
    if (h.m) body.append(node("p", { class: "note" }, h.m));
    if (h.s.length > 0) {
      const t = table(h, i), quiet = [...t.querySelectorAll("tr.quiet")];
      if (quiet.length > 3 && quiet.length < h.s.length) {
        const b = node("button", { type: "button" });
        fold(b, quiet);
        body.append(b);
      }
      body.append(t);
    }
    section.hidden = false;
    moves();
  };
  const beside = (by) => {
    const list = shown().map((c) => cells.indexOf(c)), at = list.indexOf(current);
    return at < 0 ? (list.length > 0 ? list[0] : -1) : at + by in list ? list[at + by] : -1;
  };
  const moves = () => {
    byId("before").disabled = beside(-1) < 0;
    byId("after").disabled = beside(1) < 0;
  };
  const close = () => {
    const cell = current >= 0 ? byId("cell-" + current) : null;
    byId("host").hidden = true;
    current = -1;
    history.replaceState(null, "", "#fleet");
    if (cell) {
      cell.removeAttribute("aria-current");
      cell.focus();
    }
  };
  const route = () => {
    const m = /^#host-(\d+)$/.exec(location.hash);
    if (!m || !(m[1] in data.hosts)) return;
    host(Number(m[1]));
    byId("host-title").focus({ preventScroll: true });
    byId("host").scrollIntoView({ block: "start" });
  };
  byId("before").addEventListener("click", () => { location.hash = "#host-" + beside(-1); });
  byId("after").addEventListener("click", () => { location.hash = "#host-" + beside(1); });
  byId("close").addEventListener("click", close);
  document.addEventListener("keydown", (e) => { if (e.key === "Escape" && current >= 0 && cells.length > 1 && e.target !== find) close(); });
  window.addEventListener("hashchange", route);

  // One step: what it meant on which hosts, each way once.
  const fill = (details) => {
    const body = details.querySelector(".body"), step = Number(details.dataset.step), ways = new Map();
    data.hosts.forEach((h, i) => {
      for (const s of h.s) {
        if (s[0] !== step) continue;
        const key = s[1] + " " + s[2];
        if (!ways.has(key)) ways.set(key, { plan: s[1], verdict: s[2], hosts: [] });
        ways.get(key).hosts.push(i);
      }
    });
    const list = [...ways.values()].sort((a, b) => b.hosts.length - a.hosts.length);
    const most = 50;
    for (const w of list.slice(0, most)) {
      const plan = w.plan >= 0 ? data.plans[w.plan] : null;
      const names = node("p", {}, many(w.hosts.length, "host") + ": ");
      w.hosts.slice(0, 12).forEach((i, n) => names.append(n > 0 ? ", " : "", node("a", { class: "name", href: "#host-" + i }, data.hosts[i].n)));
      if (w.hosts.length > 12) names.append(" and " + (w.hosts.length - 12) + " more");
      const way = node("div", { class: "variant" }, node("h3", {}, status(data.verdicts[w.verdict])), names);
      if (plan && plan.r) way.append(node("p", { class: "faint" }, plan.r));
      if (plan && plan.d.length > 0) way.append(diff(plan.d));
      body.append(way);
    }
    if (list.length > most) body.append(node("p", { class: "cut" }, list.length - most + " further ways are shown with their hosts."));
  };
  for (const d of document.querySelectorAll("details.step")) {
    d.addEventListener("toggle", () => { if (d.open && !d.querySelector(".body").firstChild) fill(d); });
  }

  const all = document.querySelectorAll("details.step"), quiet = document.querySelectorAll("details.quiet");
  if (quiet.length > 3 && quiet.length < all.length) {
    fold(byId("quiet").firstElementChild, quiet);
    byId("quiet").hidden = false;
  }

  if (cells.length === 1) { // its own list of steps says the same
    byId("steps").hidden = true;
    document.querySelector('nav a[href="#steps"]').hidden = true;
  }
  byId("filter").hidden = document.querySelector(".host-move").hidden = cells.length < 2;
  filter();
  route();
  if (current < 0 && data.hosts.length === 1) host(0);
})();
