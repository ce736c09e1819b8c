"use strict";
(() => {
  const evidence = JSON.parse(document.getElementById("evidence").textContent);
  const overlay = document.getElementById("overlay");
  const caption = document.getElementById("lit");
  const play = document.getElementById("play");
  const progress = document.getElementById("progress");
  const atRest = caption.textContent;
  const width = evidence.study.seen_width_px;
  const height = evidence.study.seen_height_px;
  const steps = evidence.trajectory ? evidence.trajectory.steps : [];
  const STEP_MS = 1400;

  // What each target lights up, what the film's caption then says, and which step it is.
  const targets = new Map();
  const places = (regions) => regions.map((region) => ({ box: region.box_share, kind: `role-${region.role}`, dashed: region.role === "clue" }));
  for (const sentence of evidence.report ? evidence.report.sentences : []) {
    targets.set(`sentence-${sentence.number}`, { name: `Sentence ${sentence.number}`, boxes: places(sentence.regions) });
  }
  evidence.findings.forEach((finding, place) => {
    const boxes = finding.region ? places([finding.region]) : [];
    const controls = finding.faithfulness ? finding.faithfulness.controls.map((tried) => tried.box_share) : [];
    targets.set(`finding-${place}`, { name: `${finding.label}, probability ${finding.probability.toFixed(2)}`, boxes, controls });
  });
  for (const step of steps) {
    const box = { box: step.region.box_share, kind: `letter-${step.letter}`, tag: `${step.number} \u00b7 ${step.letter}` };
    targets.set(`step-${step.number}`, { name: `Predicted step ${step.number} of ${steps.length}: ${step.letter}, ${step.region_name}`, boxes: [box], step: step.number });
  }

  const state = { hover: null, focus: null, pin: null };
  let shown = null;

  function element(name, attributes, parent) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  }

  function rectangle([x0, y0, x1, y1], kind, parent) {
    element("rect", { class: kind, x: x0 * width, y: y0 * height, width: (x1 - x0) * width, height: (y1 - y0) * height }, parent);
  }

  function drawWay(upTo, parent) {
    const points = steps.slice(0, upTo).map((step) => [step.region.centroid_share[0] * width, step.region.centroid_share[1] * height]);
    element("polyline", { class: "way", points: points.map((point) => point.join(",")).join(" ") }, parent);
    points.forEach(([x, y], place) => {
      element("circle", { class: `spot letter-${steps[place].letter}`, cx: x, cy: y, r: (place + 1 === upTo ? 0.016 : 0.009) * width }, parent);
    });
  }

  function drawTag([x0, y0], kind, text, parent) {
    const size = 0.042 * width;
    const x = Math.min(x0 * width, width - 0.7 * size * text.length);
    const y = Math.max(y0 * height - 1.25 * size, 0);
    element("rect", { class: `tag-ground ${kind}`, x, y, width: (0.55 * text.length + 0.6) * size, height: 1.25 * size, rx: 0.2 * size }, parent);
    element("text", { class: "tag", x: x + 0.3 * size, y: y + 0.97 * size, "font-size": size }, parent).textContent = text;
  }

  function draw(target) {
    overlay.replaceChildren();
    if (!target || !target.boxes.length) return;
    const group = element("g", { class: "lit" }, overlay);
    const holes = target.boxes.map(({ box: [x0, y0, x1, y1] }) => `M${x0 * width} ${y0 * height}H${x1 * width}V${y1 * height}H${x0 * width}Z`);
    // Overlapping holes would darken again under the even-odd rule, so the shade is cut out by a mask.
    const mask = element("mask", { id: "holes" }, group);
    element("rect", { x: 0, y: 0, width, height, fill: "#fff" }, mask);
    for (const hole of holes) element("path", { d: hole, fill: "#000" }, mask);
    element("rect", { class: "shade", x: 0, y: 0, width, height, mask: "url(#holes)" }, group);
    for (const box of target.controls || []) rectangle(box, "box dots role-control", group);
    for (const { box, kind, dashed } of target.boxes) {
      rectangle(box, "halo", group);
      rectangle(box, `box ${kind}${dashed ? " dash" : ""}`, group);
    }
    if (target.step) drawWay(target.step, group);
    for (const { box, kind, tag } of target.boxes) if (tag) drawTag(box, kind, tag, group);
  }

  function describe(target) {
    if (!target) return atRest;
    if (!target.boxes.length) return `${target.name}: no place given.`;
    const first = target.boxes[target.boxes.length - 1].box.map((side) => Math.round(100 * side));
    const where = `x ${first[0]} to ${first[2]} %, y ${first[1]} to ${first[3]} %`;
    const clues = target.boxes.filter(({ kind }) => kind === "role-clue").length;
    const more = clues ? ` ${clues} ${clues === 1 ? "clue" : "clues"} dashed.` : "";
    const controls = target.controls && target.controls.length ? ` Dotted: the ${target.controls.length} boxes it was compared with.` : "";
    return `${target.name}. ${where}.${more}${controls}`;
  }

  function refresh() {
    const key = state.hover || state.focus || state.pin;
    for (const button of document.querySelectorAll("[data-target]")) {
      button.classList.toggle("on", button.dataset.target === key);
      button.setAttribute("aria-pressed", String(button.dataset.target === state.pin));
    }
    if (key === shown) return;
    shown = key;
    const target = targets.get(key);
    draw(target);
    caption.textContent = describe(target);
    if (progress && target && target.step) progress.textContent = `Step ${target.step} of ${steps.length}`;
  }

  const targetOf = (event) => (event.target.closest ? event.target.closest("[data-target]") : null);
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const over = targetOf(event);
    state.hover = over ? over.dataset.target : null;
    refresh();
  });
  document.addEventListener("focusin", (event) => {
    const focused = targetOf(event);
    state.focus = focused ? focused.dataset.target : null;
    refresh();
  });
  document.addEventListener("focusout", () => {
    state.focus = null;
    refresh();
  });
  document.addEventListener("click", (event) => {
    const clicked = targetOf(event);
    if (!clicked) return;
    stop();
    const key = clicked.dataset.target;
    state.pin = state.pin === key ? null : key;
    if (state.pin === null) state.focus = null;
    refresh();
  });

  let timer = null;

  function currentStep() {
    const target = targets.get(state.pin);
    return target && target.step ? target.step : 0;
  }

  function goTo(number) {
    if (!steps.length) return;
    const within = Math.min(Math.max(number, 1), steps.length);
    Object.assign(state, { hover: null, focus: null, pin: `step-${within}` });
    refresh();
  }

  function stop() {
    if (timer === null) return;
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  }

  function start() {
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    goTo(currentStep() < steps.length ? currentStep() + 1 : 1);
    timer = setInterval(() => (currentStep() < steps.length ? goTo(currentStep() + 1) : stop()), STEP_MS);
  }

  if (play) {
    play.addEventListener("click", () => (timer === null ? start() : stop()));
    document.getElementById("previous").addEventListener("click", () => { stop(); goTo(currentStep() - 1); });
    document.getElementById("next").addEventListener("click", () => { stop(); goTo(currentStep() + 1); });
  }
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      if (!steps.length) return;
      event.preventDefault();
      stop();
      goTo(currentStep() + (event.key === "ArrowRight" ? 1 : -1));
    } else if (event.key === "Escape") {
      stop();
      Object.assign(state, { hover: null, focus: null, pin: null });
      refresh();
    }
  });
})();
