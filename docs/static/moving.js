// Three words of the glossary in motion: stride, dilation, soft encoding.  One pass plays when it comes into view, unless
// the reader's system asks for less motion; then, and afterwards, the buttons show it.
"use strict";
(() => {
  const PAUSE_MS = 800;
  const shape = (tag, attributes, words = "") => {
    const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
    found.append(words);
    return found;
  };
  const square = (svg, x, y, size, fill) => svg.append(shape("rect", {x, y, width: size, height: size, fill, stroke: "#888"}));

  // A kernel of 3 x 3 goes over 6 x 6 pixels with a frame of one; each place gives one of 3 x 3 outputs.
  const stride = {
    count: 9, width: 330,
    draw(svg, frame) {
      const row = Math.floor(frame / 3), column = frame % 3;
      for (let y = 0; y < 6; y += 1) for (let x = 0; x < 6; x += 1) square(svg, 30 + 24 * x, 30 + 24 * y, 24, "#eee");
      for (let i = 0; i < 9; i += 1) square(svg, 220 + 30 * (i % 3), 57 + 30 * Math.floor(i / 3), 30, i < frame ? "#cfe0f5" : i === frame ? "#1a66c9" : "#fff");
      svg.append(shape("rect", {x: 6 + 48 * column, y: 6 + 48 * row, width: 72, height: 72, fill: "#1a66c9", "fill-opacity": 0.35, stroke: "#1a66c9", "stroke-width": 3}));
      svg.append(shape("text", {x: 102, y: 194}, "6 \u00d7 6 pixels"), shape("text", {x: 265, y: 168}, "3 \u00d7 3 outputs"));
    },
    says: (frame) => `Stride 2, output ${frame + 1} of 9: from one output to the next the kernel moves by 2 pixels, so there are half as many on each side.`,
  };

  // The same nine points, pulled apart.
  const dilation = {
    count: 4, width: 260,
    draw(svg, frame) {
      const step = frame + 1, size = 20;
      for (let y = 0; y < 9; y += 1) for (let x = 0; x < 9; x += 1) {
        const point = (at) => [-step, 0, step].includes(at - 4), within = (at) => Math.abs(at - 4) <= step;
        square(svg, 40 + size * x, 10 + size * y, size, point(x) && point(y) ? "#1a66c9" : within(x) && within(y) ? "#cfe0f5" : "#fff");
      }
    },
    says: (frame) => `Dilation ${frame + 1}: nine weights see a field of ${2 * frame + 3} \u00d7 ${2 * frame + 3} pixels.`,
  };

  // A colour on its way over the bins, and the shares of its five nearest, as in page 02.
  const soft = {
    count: 9, width: 260,
    colour: (frame) => [-8 + 2 * frame, -6 + 2 * frame],
    nearest(frame) {
      const [a, b] = this.colour(frame), bins = [];
      for (let c = -20; c <= 20; c += 10) for (let d = -20; d <= 20; d += 10) bins.push([c, d, (a - c) ** 2 + (b - d) ** 2]);
      const near = bins.sort((one, other) => one[2] - other[2]).slice(0, 5), shares = near.map((bin) => Math.exp(-bin[2] / 50));
      const total = shares.reduce((x, y) => x + y);
      return near.map(([c, d], i) => [c, d, shares[i] / total]);
    },
    draw(svg, frame) {
      const x = (c) => 130 + 4.2 * c, y = (d) => 100 - 4.2 * d, [a, b] = this.colour(frame);
      for (let c = -20; c <= 20; c += 10) for (let d = -20; d <= 20; d += 10) svg.append(shape("circle", {cx: x(c), cy: y(d), r: 2, fill: "#888"}));
      for (const [c, d, share] of this.nearest(frame)) {
        svg.append(shape("circle", {cx: x(c), cy: y(d), r: 26 * Math.sqrt(share), fill: "#cfe0f5", stroke: "#1a66c9"}));
        if (share > 0.04) svg.append(shape("text", {x: x(c), y: y(d) + 4}, share.toFixed(2)));
      }
      svg.append(shape("circle", {cx: x(a), cy: y(b), r: 5, fill: "none", stroke: "#000", "stroke-width": 2}));
    },
    says(frame) {
      const shares = this.nearest(frame).map(([c, d, share]) => `(${c}, ${d}) ${share.toFixed(2)}`).join(", ");
      return `Soft encoding of the colour (${this.colour(frame).join(", ")}), the ring: ${shares}.`.replace(/-/g, "\u2212");
    },
  };

  const MOVING = {stride, dilation, soft};
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  function show(root, moving) {
    const svg = shape("svg", {viewBox: `0 0 ${moving.width} 205`, "aria-hidden": "true"});
    svg.style.width = `${moving.width}px`;
    const says = document.createElement("p"), play = document.createElement("button"), step = document.createElement("button");
    play.textContent = "Play";
    step.textContent = "Step";
    let frame = 0, timer = null;
    const draw = (to, aloud) => {
      frame = to % moving.count;
      says.setAttribute("aria-live", aloud ? "polite" : "off"); // what plays by itself is not read aloud
      svg.replaceChildren();
      moving.draw(svg, frame);
      says.textContent = moving.says(frame);
      root.dataset.frame = frame;
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      play.textContent = "Play";
    };
    const start = () => {
      stop();
      draw(0, false);
      play.textContent = "Stop";
      timer = setInterval(() => (frame + 1 < moving.count ? draw(frame + 1, false) : stop()), PAUSE_MS);
    };
    play.addEventListener("click", () => (timer ? stop() : start()));
    step.addEventListener("click", () => { stop(); draw(frame + 1, true); });
    still.addEventListener("change", () => { if (still.matches) stop(); });
    root.replaceChildren(svg, says, play, " ", step);
    draw(0, false);
    if (still.matches || !window.IntersectionObserver) return;
    const watch = new IntersectionObserver((seen) => {
      if (!seen.some((entry) => entry.isIntersecting) || still.matches) return;
      watch.disconnect();
      start();
    }, {threshold: 0.8});
    watch.observe(root);
  }

  for (const root of document.querySelectorAll(".repro-live[data-moving]")) show(root, MOVING[root.dataset.moving]);
})();
