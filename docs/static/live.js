// The demonstrations of the site, which need no kernel: what the pages' draw functions do in JupyterLab, computed here.
// The numbers come from repro/pages/live.py, one script a page; `make site` writes them, and docs/build_site.py the places.
// Each place keeps what it last drew in `element.live`, where tests/test_live.py compares it with the library.
"use strict";
(() => {
  const {data = {}, pointer} = window.reproLive || {};

  // ---- arrays ----

  const bytesOf = (text) => {
    const found = atob(text), array = new Uint8Array(found.length);
    for (let i = 0; i < array.length; i += 1) array[i] = found.charCodeAt(i);
    return array;
  };
  const KINDS = {half: Uint16Array, float: Float32Array, double: Float64Array, bytes: Uint8Array};

  // An array of live.py: {values, shape}, kept once it has been unpacked.
  const unpack = (packed) => {
    if (!packed.values) {
      const kind = Object.keys(KINDS).find((name) => name in packed);
      packed.values = new KINDS[kind](bytesOf(packed[kind]).buffer);
      packed[kind] = "";
    }
    return packed;
  };
  let halfs = null; // the value of every half-precision number
  const fromHalf = () => {
    if (halfs) return halfs;
    halfs = new Float32Array(65536);
    for (let bits = 0; bits < 65536; bits += 1) {
      const exponent = (bits >> 10) & 31, part = bits & 1023, sign = bits >> 15 ? -1 : 1;
      halfs[bits] = sign * (exponent ? (1 + part / 1024) * 2 ** (exponent - 15) : part * 2 ** -24);
    }
    return halfs;
  };
  const item = (packed, index) => { // of the first axis
    const {values, shape} = unpack(packed), size = shape.slice(1).reduce((a, b) => a * b, 1);
    return values.subarray(index * size, (index + 1) * size);
  };
  const pairs = (packed) => {
    const {values} = unpack(packed);
    return Array.from({length: values.length / 2}, (_, i) => [values[2 * i], values[2 * i + 1]]);
  };

  // ---- colour: repro/color.py ----

  const WHITE = [0.95047, 1, 1.08883];
  const TO_XYZ = [[0.412453, 0.35758, 0.180423], [0.212671, 0.71516, 0.072169], [0.019334, 0.119193, 0.950227]]
    .map((row, i) => row.map((value) => value / WHITE[i]));
  const inverse = ([[a, b, c], [d, e, f], [g, h, i]]) => {
    const A = e * i - f * h, B = f * g - d * i, C = d * h - e * g, size = a * A + b * B + c * C;
    return [[A, c * h - b * i, b * f - c * e], [B, a * i - c * g, c * d - a * f], [C, b * g - a * h, a * e - b * d]]
      .map((row) => row.map((value) => value / size));
  };
  const FROM_XYZ = inverse(TO_XYZ);
  const LINEAR = Float64Array.from({length: 256}, (_, i) => (i / 255 > 0.04045 ? ((i / 255 + 0.055) / 1.055) ** 2.4 : i / 255 / 12.92));
  const f = (t) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const fInverse = (t) => (t > 0.2068966 ? t * t * t : (t - 16 / 116) / 7.787);
  const across = (row, x, y, z) => row[0] * x + row[1] * y + row[2] * z;
  const lightnessOf = (r, g, b) => 116 * f(across(TO_XYZ[1], LINEAR[r], LINEAR[g], LINEAR[b])) - 16;
  const rgb8ToLab = (r, g, b) => {
    const [x, y, z] = TO_XYZ.map((row) => f(across(row, LINEAR[r], LINEAR[g], LINEAR[b])));
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
  };
  const linear = new Float64Array(3); // what labToLinear found last: nothing is made anew for a pixel
  const labToLinear = (L, a, b) => {
    const middle = (L + 16) / 116;
    const x = fInverse(middle + a / 500), y = fInverse(middle), z = fInverse(Math.max(middle - b / 200, 0));
    for (let i = 0; i < 3; i += 1) linear[i] = across(FROM_XYZ[i], x, y, z);
  };
  const isWithin = (tolerance) => {
    for (let i = 0; i < 3; i += 1) if (linear[i] < -tolerance || linear[i] > 1 + tolerance) return false;
    return true;
  };
  const toByte = (value) => {
    const light = Math.min(Math.max(value, 0), 1);
    return Math.round(255 * (light > 0.0031308 ? 1.055 * light ** (1 / 2.4) - 0.055 : 12.92 * light));
  };

  const reaches = new Float64Array(101 * 361).fill(-1); // chroma that sRGB reaches, by lightness 0..100 and hue -180..180 degrees
  const reach = (L, hue) => { // found when it is first asked for
    if (reaches[361 * L + hue] < 0) {
      const angle = Math.PI * (hue / 180 - 1), cos = Math.cos(angle), sin = Math.sin(angle);
      let inside = 0, outside = 200;
      for (let halving = 0; halving < 24; halving += 1) {
        const middle = (inside + outside) / 2;
        labToLinear(L, middle * cos, middle * sin);
        if (isWithin(1e-6)) inside = middle; else outside = middle;
      }
      reaches[361 * L + hue] = inside;
    }
    return reaches[361 * L + hue];
  };
  const reachAt = (L, angle) => {
    const y = Math.min(Math.max(L, 0), 100), x = 180 * (angle / Math.PI + 1);
    const row = Math.min(Math.floor(y), 99), column = Math.min(Math.floor(x), 359), down = y - row, right = x - column;
    const upper = (1 - right) * reach(row, column) + right * reach(row, column + 1);
    return (1 - down) * upper + down * ((1 - right) * reach(row + 1, column) + right * reach(row + 1, column + 1));
  };
  const putBytes = (into, at, L, a, b, keepLightness) => {
    labToLinear(L, a, b);
    if (keepLightness && !isWithin(1e-4)) {
      const scale = Math.min(reachAt(L, Math.atan2(b, a)) / Math.max(Math.hypot(a, b), 1e-6), 1);
      labToLinear(L, a * scale, b * scale);
    }
    for (let i = 0; i < 3; i += 1) into[at + i] = toByte(linear[i]);
  };
  const css = (L, a, b) => {
    const found = [0, 0, 0];
    putBytes(found, 0, L, a, b, false);
    return `rgb(${found.join(",")})`;
  };

  // ---- prior, encoding, decoding: repro/prior.py, encoding.py, decoding.py ----

  const smooth = (prior, bins, sigma) => {
    if (sigma === 0) return Float64Array.from(prior);
    const result = new Float64Array(prior.length);
    bins.forEach(([a, b], from) => {
      if (!prior[from]) return;
      const shares = bins.map(([c, d]) => Math.exp(((a - c) ** 2 + (b - d) ** 2) / (-2 * sigma * sigma)));
      const total = shares.reduce((x, y) => x + y);
      shares.forEach((share, to) => { result[to] += (prior[from] * share) / total; });
    });
    return result;
  };
  const rebalancingWeights = (prior, mix) => {
    const mixed = prior.map((p) => (1 - mix) * p + mix / prior.length);
    const weights = mixed.map((value) => (value > 0 ? 1 / value : 0));
    const mean = weights.reduce((sum, weight, i) => sum + prior[i] * weight, 0);
    return weights.map((weight) => weight / mean);
  };
  const softEncode = ([a, b], bins, neighbours, sigma) => {
    const near = bins.map(([c, d], index) => ({index, squared: (a - c) ** 2 + (b - d) ** 2}));
    near.sort((one, other) => one.squared - other.squared || one.index - other.index);
    near.length = neighbours;
    const shares = near.map(({squared}) => Math.exp((near[0].squared - squared) / (2 * sigma * sigma)));
    const total = shares.reduce((x, y) => x + y);
    return {indices: near.map(({index}) => index), weights: shares.map((share) => share / total)};
  };
  const meanOf = (bins, indices, weights) =>
    [0, 1].map((axis) => indices.reduce((sum, index, i) => sum + weights[i] * bins[index][axis], 0));
  const softmax = (logits, temperature) => {
    let top = -Infinity, total = 0;
    for (const value of logits) if (value > top) top = value;
    const shares = new Float64Array(logits.length);
    for (let i = 0; i < shares.length; i += 1) total += (shares[i] = Math.exp((logits[i] - top) / temperature));
    return shares.map((share) => share / total);
  };
  const everyBin = (count) => Array.from({length: count}, (_, i) => i);

  // The logits of a photograph, place after place: {all (h w Q), at(row, column) -> (Q,)}; those of the last one are kept.
  const logitsOf = (stored, photo) => {
    if (stored.unpacked && stored.unpacked.photo === photo) return stored.unpacked;
    const [, count, height, width] = unpack(stored).shape, halves = item(stored, photo), table = fromHalf(), size = height * width;
    const all = new Float32Array(halves.length);
    for (let q = 0; q < count; q += 1) {
      for (let place = 0; place < size; place += 1) all[place * count + q] = table[halves[q * size + place]];
    }
    const at = (row, column) => all.subarray((row * width + column) * count, (row * width + column + 1) * count);
    return (stored.unpacked = {photo, all, at});
  };
  const decode = (bins, logits, temperature) =>
    temperature === 0
      ? bins[logits.indexOf(Math.max(...logits))]
      : meanOf(bins, everyBin(bins.length), softmax(logits, temperature));

  // ab of a photograph by a model: {a, b, height, width}; a regression's is stored, another's is decoded.
  const abOf = (model, bins, photo, temperature) => {
    const [, , height, width] = unpack(model.ab || model.logits).shape, size = height * width;
    if (model.ab) {
      const ab = item(model.ab, photo);
      return {a: ab.subarray(0, size), b: ab.subarray(size), height, width};
    }
    const {all, at} = logitsOf(model.logits, photo), a = new Float64Array(size), b = new Float64Array(size), count = bins.length;
    for (let place = 0; place < size; place += 1) {
      if (temperature === 0) {
        [a[place], b[place]] = decode(bins, at(0, place), 0);
        continue;
      }
      let top = -Infinity, total = 0, sumA = 0, sumB = 0;
      for (let q = place * count; q < (place + 1) * count; q += 1) if (all[q] > top) top = all[q];
      for (let q = 0; q < count; q += 1) {
        const share = Math.exp((all[place * count + q] - top) / temperature), bin = bins[q];
        total += share;
        sumA += share * bin[0];
        sumB += share * bin[1];
      }
      a[place] = sumA / total;
      b[place] = sumB / total;
    }
    return {a, b, height, width};
  };

  // ---- pictures: repro/colorizer/enlarge.py ----

  const STRIDE = 4; // the network's output is every 4th pixel
  const between = (length, count) =>
    Array.from({length}, (_, pixel) => {
      const place = Math.min(Math.max(((pixel + 0.5) * ((STRIDE * count) / length) - 0.5) / STRIDE, 0), count - 1);
      const below = Math.min(Math.floor(place), Math.max(count - 2, 0));
      return [below, Math.min(below + 1, count - 1), place - below];
    });
  const join = (photo, side, {a, b, height, width}) => { // (H, W, 3) bytes with ab of every 4th pixel
    const [high, wide] = side, result = new Uint8ClampedArray(3 * high * wide);
    const rows = between(high, height), columns = between(wide, width);
    for (let y = 0; y < high; y += 1) {
      const [top, bottom, down] = rows[y];
      for (let x = 0; x < wide; x += 1) {
        const [left, right, part] = columns[x], at = 3 * (y * wide + x);
        const spread = (map) => (1 - down) * ((1 - part) * map[top * width + left] + part * map[top * width + right])
          + down * ((1 - part) * map[bottom * width + left] + part * map[bottom * width + right]);
        putBytes(result, at, lightnessOf(photo[at], photo[at + 1], photo[at + 2]), spread(a), spread(b), true);
      }
    }
    return result;
  };
  const lightnessOnly = (photo) => {
    const result = new Uint8ClampedArray(photo.length);
    for (let at = 0; at < photo.length; at += 3) putBytes(result, at, lightnessOf(photo[at], photo[at + 1], photo[at + 2]), 0, 0, false);
    return result;
  };
  const halves = (left, right, [high, wide], percent) => {
    const at = Math.round((wide * percent) / 100), result = Uint8ClampedArray.from(right);
    const line = at > 0 && at < wide ? Math.max(0, at - Math.max(1, Math.floor(wide / 160))) : at;
    for (let y = 0; y < high; y += 1) {
      result.set(left.subarray(3 * y * wide, 3 * (y * wide + at)), 3 * y * wide);
      result.fill(255, 3 * (y * wide + line), 3 * (y * wide + at));
    }
    return result;
  };

  // ---- drawing ----

  const element = (tag, attributes = {}, ...children) => {
    const found = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
    found.append(...children);
    return found;
  };
  const shape = (tag, attributes, ...children) => {
    const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
    found.append(...children);
    return found;
  };
  const text = (x, y, words, more = {}) => shape("text", {x, y, "text-anchor": "middle", ...more}, words);
  const share = (value) => value.toFixed(2);
  const significant = (value) => String(Number(value.toPrecision(3)));

  // A picture of pixels with its title: bytes, 3 a pixel.  most: of the row's width; two stand side by side on a phone.
  const HALF = "calc(50% - 0.25rem)";
  const photograph = (pixels, [high, wide], title, height = 176, most = "100%") => {
    const canvas = element("canvas", {width: wide, height: high, role: "img", "aria-label": title});
    const context = canvas.getContext("2d"), image = context.createImageData(wide, high);
    image.data.fill(255); // and so opaque
    for (let i = 0, at = 0; i < 3 * high * wide; at += 1) for (let end = i + 3; i < end; i += 1, at += 1) image.data[at] = pixels[i];
    context.putImageData(image, 0, 0);
    const found = element("div", {class: "live-photo"}, element("div", {}, title), canvas);
    found.style.width = `min(${Math.round((height * wide) / high)}px, ${most})`;
    return found;
  };

  // Axes over a square: {svg, x, y}, where x and y turn their units into places.
  const axes = ([left, right], [bottom, top], labels, ticks, names = String, wide = 0) => {
    const side = 290, at = {left: 52, top: 8}, svg = shape("svg", {viewBox: `0 0 ${362 + wide} 340`, role: "img"});
    svg.style.width = `${362 + wide}px`;
    const x = (value) => at.left + (side * (value - left)) / (right - left);
    const y = (value) => at.top + (side * (top - value)) / (top - bottom);
    svg.append(shape("path", {d: `M${at.left} ${at.top}V${at.top + side}H${at.left + side}`, fill: "none", stroke: "#222"}));
    for (const tick of ticks[0]) {
      svg.append(shape("path", {d: `M${x(tick)} ${at.top + side}v4`, stroke: "#222"}), text(x(tick), at.top + side + 16, names(tick)));
    }
    for (const tick of ticks[1]) {
      svg.append(shape("path", {d: `M${at.left} ${y(tick)}h-4`, stroke: "#222"}));
      svg.append(text(at.left - 7, y(tick) + 4, names(tick), {"text-anchor": "end"}));
    }
    svg.append(text(at.left + side / 2, at.top + side + 33, labels[0]));
    svg.append(text(0, 0, labels[1], {transform: `translate(12 ${at.top + side / 2}) rotate(-90)`}));
    return {svg, x, y, scale: side / (right - left)};
  };
  const AB = ["a (green to magenta)", "b (blue to yellow)"];
  const steps = (low, high, step) => {
    const found = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) found.push(tick);
    return found;
  };
  const abAxes = (a = [-113, 113], b = [-113, 113], wide = 0) => {
    const step = a[1] - a[0] > 100 ? 50 : 10;
    return axes(a, b, AB, [steps(...a, step), steps(...b, step)], String, wide);
  };
  const minus = (svg) => { // as a plot has it
    for (const words of svg.querySelectorAll("text")) words.textContent = words.textContent.replace(/^-/, "\u2212");
    return svg;
  };

  // Discs in the bins' own colours, areas as the probabilities; the largest are labelled.
  const discs = ({svg, x, y}, bins, probabilities, seen = () => true) => {
    const order = everyBin(bins.length).sort((i, j) => probabilities[j] - probabilities[i]);
    bins.filter(seen).forEach(([a, b]) => svg.append(shape("circle", {cx: x(a), cy: y(b), r: 1, fill: "#bbb"})));
    for (const index of order) {
      const [a, b] = bins[index], p = probabilities[index];
      if (p <= 1e-6 || !seen(bins[index])) continue;
      const r = (Math.sqrt(900 * p) / 2) * (100 / 72);
      svg.append(shape("circle", {cx: x(a), cy: y(b), r, fill: css(60, a, b), stroke: "#333", "stroke-width": 0.7}));
    }
    for (const index of order.slice(0, 5)) {
      const [a, b] = bins[index];
      if (probabilities[index] > 0.04 && seen(bins[index])) svg.append(text(x(a), y(b) + 4, share(probabilities[index]), {class: "small"}));
    }
  };
  const MARKS = {
    square: "M-5-5H5V5H-5Z", diamond: "M0-7L5 0L0 7L-5 0Z", triangle: "M0-6L6 5H-6Z", cross: "M-5-5L5 5M5-5L-5 5",
    star: "M0-7L1.7-2.2H6.8L2.7 .8L4.2 5.8L0 2.8L-4.2 5.8L-2.7 .8L-6.8-2.2H-1.7Z",
  };
  const mark = (name, x, y) =>
    shape("path", {d: MARKS[name], transform: `translate(${x} ${y})`, fill: "#fff", stroke: "#000", "stroke-width": name === "cross" ? 2 : 1.2});

  // ---- controls, as ipywidgets has them: a name, a handle, a number ----

  let count = 0;
  const slider = (name, value, min, max, step) => ({name, value, min, max, step});
  const choice = (name, value, options) => ({name, value, options});

  function control(place, key, {name, value, options, min, max, step}, changed) {
    const id = `live-${(count += 1)}`, label = element("label", {for: id}, name);
    const input = options
      ? element("select", {id}, ...options.map((option) => element("option", {}, option)))
      : element("input", {id, type: "range", min, max, step});
    const digits = options ? 0 : (String(step).split(".")[1] || "").length, says = element("output", {for: id});
    input.value = value;
    const read = () => (options ? input.value : Number(input.value));
    const tell = () => { if (!options) says.textContent = read().toFixed(digits); };
    input.addEventListener("input", () => { tell(); changed(key, read()); });
    tell();
    place.append(element("div", {class: "live-control"}, label, input, says));
  }

  // A picture to point at, with the script of JupyterLab's: it is handed a model with the same manners.
  function pointing(place, traits, changed) {
    const state = {}, watchers = {}, model = {
      get: (name) => state[name],
      set: (name, value) => {
        state[name] = value;
        (watchers[name] || []).forEach((watch) => watch());
        if (name === "value") changed(value);
      },
      on: (event, watch) => { const name = event.slice(7); (watchers[name] = watchers[name] || []).push(watch); },
      save_changes: () => {},
      pointInto: (other) => {
        Object.assign(state, {extent: other.extent, frame: other.frame, width: other.width});
        model.set("png", unpack(other.png).values);
      },
    };
    Object.assign(state, traits, {png: unpack(traits.png).values});
    const box = element("div");
    place.append(box);
    pointer({model, el: box});
    return model;
  }

  // A demonstration: its controls, what is drawn for their values, and perhaps a picture to point at.
  function demonstrate(root, {controls, draw, point, pointInto}) {
    const values = {}, sliders = element("div", {class: "live-controls"}), stage = element("div", {class: "live-stage"});
    const picture = element("div", {class: "live-picture"});
    const redraw = () => {
      const began = performance.now(), {title, parts, result} = draw(values);
      picture.replaceChildren(element("div", {class: "live-title", role: "status"}, ...title.map((line) => element("div", {}, line))), ...parts);
      root.live = {values, result, title, milliseconds: performance.now() - began, set};
    };
    const set = (changes) => { Object.assign(values, changes); redraw(); };
    let model = null;
    for (const [key, wanted] of Object.entries(controls)) {
      values[key] = wanted.options ? String(wanted.value) : wanted.value;
      control(sliders, key, wanted, (name, value) => {
        values[name] = value;
        if (model && pointInto && name === "photo") model.pointInto(pointInto(value));
        redraw();
      });
    }
    if (point) {
      values.point = point.value;
      model = pointing(stage, point, (value) => { values.point = value; redraw(); });
    }
    stage.append(picture);
    root.replaceChildren(sliders, stage);
    redraw();
  }

  // ---- the demonstrations ----

  const DEMOS = {
    weights({bins: stored, prior, uniform_mix, smoothing, viridis}) {
      const bins = pairs(stored), counted = unpack(prior).values, colours = unpack(viridis).values;
      return {
        controls: {mix: slider("lambda", uniform_mix, 0, 1, 0.05), sigma: slider("sigma (ab units)", smoothing, 0, 20, 1)},
        draw({mix, sigma}) {
          const weights = rebalancingWeights(smooth(counted, bins, sigma), mix), top = Math.max(...weights);
          const low = Math.max(Math.min(...weights.filter((weight) => weight > 0)), top * 1e-5);
          const plane = abAxes(undefined, undefined, 70), {svg, x, y} = plane, side = 7;
          const colour = (weight) => {
            const place = top > low ? Math.log(Math.max(weight, low) / low) / Math.log(top / low) : 0;
            return `rgb(${colours.subarray(3 * Math.min(255, Math.floor(256 * place))).slice(0, 3).join(",")})`;
          };
          bins.forEach(([a, b], i) => {
            if (weights[i] > 0) svg.append(shape("rect", {x: x(a) - side / 2, y: y(b) - side / 2, width: side, height: side, fill: colour(weights[i])}));
          });
          for (let i = 0; i < 64; i += 1) {
            const value = low * (top / low) ** ((i + 0.5) / 64);
            svg.append(shape("rect", {x: 362, y: 8 + (290 * (63 - i)) / 64, width: 12, height: 290 / 64 + 0.5, fill: colour(value)}));
          }
          svg.append(text(380, 16, significant(top), {"text-anchor": "start"}), text(380, 298, significant(low), {"text-anchor": "start"}));
          svg.append(text(368, 331, "weight"));
          svg.setAttribute("aria-label", "Map of the weights over the ab plane: light is little, dark is much.");
          return {title: [`weights ${Math.min(...weights).toFixed(3)} to ${significant(top)}`], parts: [minus(svg)], result: {weights: Array.from(weights)}};
        },
      };
    },

    brush({bins: stored, prior, uniform_mix, smoothing, palette}) {
      const bins = pairs(stored), counted = unpack(prior).values;
      const weights = rebalancingWeights(smooth(counted, bins, smoothing), uniform_mix);
      const all = counted.reduce((sum, p) => sum + p, 0), pull = counted.reduce((sum, p, i) => sum + p * weights[i], 0);
      const seen = everyBin(bins.length).filter((i) => counted[i] > 0);
      const logs = (values) => {
        const found = values.map(Math.log10), low = Math.min(...found), high = Math.max(...found), room = 0.05 * (high - low);
        return [low - room, high + room];
      };
      const reach = [logs(seen.map((i) => counted[i])), logs(seen.map((i) => weights[i]))];
      const fine = [0, Math.log10(2), Math.log10(5)]; // 1, 2, 5, 10, 20 ... where there are few powers of ten
      const ticks = reach.map(([low, high]) =>
        steps(Math.floor(low), high, 1).flatMap((tick) => (high - low < 3 ? fine : [0]).map((more) => tick + more))
          .filter((tick) => tick >= low && tick <= high));
      const power = (tick) => (Math.abs(tick) > 2 ? `1e${Math.round(tick)}` : significant(10 ** tick));
      return {
        controls: {radius: slider("brush (ab units)", 20, 5, 60, 5)},
        point: palette,
        draw({point: [a, b], radius}) {
          const chosen = everyBin(bins.length).filter((i) => Math.hypot(bins[i][0] - a, bins[i][1] - b) <= radius);
          const under = chosen.filter((i) => counted[i] > 0), heavy = chosen.map((i) => weights[i]);
          const {svg, x, y} = axes(...reach, ["share of pixels", "weight"], ticks, power);
          for (const i of seen) svg.append(shape("circle", {cx: x(Math.log10(counted[i])), cy: y(Math.log10(weights[i])), r: 2, fill: "#aaa"}));
          for (const i of under) {
            const place = {cx: x(Math.log10(counted[i])), cy: y(Math.log10(weights[i]))};
            svg.append(shape("circle", {...place, r: 4.7, fill: css(60, ...bins[i]), stroke: "#000"}));
          }
          const legend = element("div", {class: "live-legend"}, "small dots: all seen bins; large discs: those under the brush");
          svg.setAttribute("aria-label", "Share and weight of the bins; those under the brush are large discs in their colours.");
          const result = {
            bins: chosen.length, seen: under.length, low: chosen.length ? Math.min(...heavy) : null, high: chosen.length ? Math.max(...heavy) : null,
            share: chosen.reduce((sum, i) => sum + counted[i], 0) / all, pull: chosen.reduce((sum, i) => sum + counted[i] * weights[i], 0) / pull,
          };
          const title = [
            result.bins ? `${result.bins} bins, ${result.seen} of them seen` : "0 bins",
            result.bins ? `weights ${share(result.low)} to ${share(result.high)}` : "no bin here",
            `${(100 * result.share).toFixed(2)}% of pixels, ${(100 * result.pull).toFixed(2)}% of the loss`,
          ];
          return {title, parts: [legend, svg], result};
        },
      };
    },

    neighbours({bins: stored, neighbours, sigma, plane}) {
      const bins = pairs(stored);
      return {
        controls: {neighbours: slider("neighbours", neighbours, 1, 20, 1), sigma: slider("sigma (ab units)", sigma, 1, 20, 0.5)},
        point: plane,
        draw({point, neighbours: most, sigma: width}) {
          const {indices, weights} = softEncode(point, bins, most, width), mean = meanOf(bins, indices, weights);
          const [a, b] = point, drawn = abAxes([a - 32, a + 32], [b - 32, b + 32]), dense = new Float64Array(bins.length);
          indices.forEach((index, i) => { dense[index] = weights[i]; });
          discs(drawn, bins, dense, ([c, d]) => Math.abs(c - a) <= 32 && Math.abs(d - b) <= 32);
          drawn.svg.append(shape("circle", {cx: drawn.x(a), cy: drawn.y(b), r: 6, fill: "none", stroke: "#000", "stroke-width": 1.5}));
          drawn.svg.append(mark("cross", drawn.x(mean[0]), drawn.y(mean[1])));
          drawn.svg.setAttribute("aria-label", "Discs: the bins and their weights. Circle: the colour. Cross: the discs' mean.");
          const title = [`(${a.toFixed(0)}, ${b.toFixed(0)}) comes back as (${mean[0].toFixed(1)}, ${mean[1].toFixed(1)})`];
          return {title, parts: [minus(drawn.svg)], result: {indices, weights, mean}};
        },
      };
    },

    temperature({bins: stored, temperature, photos, models}) {
      const bins = pairs(stored), side = unpack(photos).shape.slice(1, 3), last = photos.shape[0] - 1;
      return {
        controls: {temperature: slider("temperature T", temperature, 0.02, 1, 0.02), photo: slider("photograph", 0, 0, last, 1)},
        draw({temperature: T, photo}) {
          const truth = item(photos, photo), pictures = {given: lightnessOnly(truth)};
          for (const [name, model] of Object.entries(models)) pictures[name] = join(truth, side, abOf(model, bins, photo, T));
          pictures.truth = truth;
          return {title: [`T = ${share(T)}`], parts: row(pictures, side), result: {pictures}};
        },
      };
    },

    pixel({bins: stored, temperature, photos, models, asked, telling, pictures}) {
      const bins = pairs(stored), [high, wide] = unpack(photos).shape.slice(1, 3), {logits: answers} = models[asked];
      const [, , rows, columns] = unpack(answers).shape;
      return {
        controls: {temperature: slider("T", temperature, 0.02, 1, 0.02), photo: slider("photograph", telling, 0, pictures.length - 1, 1)},
        point: pictures[telling],
        pointInto: (photo) => pictures[photo],
        draw({point: [x, y], temperature: T, photo}) {
          const place = (at, size, places) => Math.min(Math.max(Math.floor((Math.floor(at) * places) / size), 0), places - 1);
          const column = place(x, wide, columns), line = place(y, high, rows), logits = logitsOf(answers, photo).at(line, column);
          const probabilities = softmax(logits, 1), truth = item(photos, photo);
          const at = 3 * (Math.floor((line * high) / rows) * wide + Math.floor((column * wide) / columns));
          const found = {
            mode: decode(bins, logits, 0), mean: decode(bins, logits, 1), annealed: decode(bins, logits, T),
            truth: rgb8ToLab(truth[at], truth[at + 1], truth[at + 2]).slice(1),
          };
          const drawn = abAxes(), names = {mode: "square", mean: "diamond", annealed: "triangle", truth: "star"};
          discs(drawn, bins, probabilities);
          const legend = element("div", {class: "live-legend"});
          for (const [name, [a, b]] of Object.entries(found)) {
            drawn.svg.append(mark(names[name], drawn.x(a), drawn.y(b)));
            const small = shape("svg", {viewBox: "-9 -9 18 18", "aria-hidden": "true"}), label = name === "annealed" ? `annealed, T = ${share(T)}` : name;
            small.append(mark(names[name], 0, 0));
            legend.append(element("span", {}, small, ` ${label} (${a.toFixed(0)}, ${b.toFixed(0)})`));
          }
          drawn.svg.setAttribute("aria-label", "The distribution at the pixel over the ab plane, with mode, mean, annealed mean and truth.");
          return {title: [`by ${asked}`], parts: [legend, minus(drawn.svg)], result: {probabilities: Array.from(probabilities), ...found}};
        },
      };
    },

    split({bins: stored, photos, models}) {
      const bins = pairs(stored), side = unpack(photos).shape.slice(1, 3), names = Object.keys(models);
      const options = ["given", ...names, "truth"];
      const version = (name, photo) => {
        const truth = item(photos, photo), model = models[name];
        if (!model) return name === "given" ? lightnessOnly(truth) : Uint8ClampedArray.from(truth);
        const [decoding, T] = model.default || ["annealed", 1];
        return join(truth, side, abOf(model, bins, photo, {mode: 0, mean: 1, annealed: T}[decoding]));
      };
      return {
        controls: {
          left: choice("left", names[0], options), right: choice("right", names[names.length - 1], options),
          split: slider("the line (%)", 50, 0, 100, 1), photo: slider("photograph", 0, 0, photos.shape[0] - 1, 1),
        },
        draw({left, right, split, photo}) {
          const picture = halves(version(left, photo), version(right, photo), side, split), title = `${left} | ${right}`;
          return {title: [], parts: [photograph(picture, side, title, 340)], result: {pictures: {picture}}};
        },
      };
    },

    threshold({photos, distances}) {
      const side = unpack(photos).shape.slice(1, 3);
      return {
        controls: {t: slider("t (ab units)", 15, 0, 80, 1), photo: slider("photograph", 0, 0, photos.shape[0] - 1, 1)},
        draw({t, photo}) {
          const parts = [photograph(item(photos, photo), side, "truth", 150, HALF)], shares = {}, masks = {};
          for (const [name, stored] of Object.entries(distances)) {
            const far = item(stored, photo), near = Array.from(far, (distance) => Number(distance <= t));
            shares[name] = near.reduce((x, y) => x + y) / near.length;
            masks[name] = near;
            const pixels = near.flatMap((value) => [255 * value, 255 * value, 255 * value]);
            parts.push(photograph(pixels, stored.shape.slice(1, 3), `${name}: ${share(shares[name])}`, 150, HALF));
          }
          return {title: [`white: within ${t} ab units of the truth`], parts, result: {shares, masks}};
        },
      };
    },
  };
  const row = (pictures, side) => Object.entries(pictures).map(([name, pixels]) => photograph(pixels, side, name, 176, HALF));

  // What a reader is told where a demonstration cannot go on; else undefined.
  const missing = (page) => {
    if (data[page] === null) return "This run's models cannot be moved without a kernel. In JupyterLab they can: make lab.";
    if (!data[page]) return `The numbers of this demonstration could not be loaded. They lie in _static/live/${page}.js: copy the whole folder of the site.`;
    if (!pointer) return "A script of this demonstration could not be loaded. It is _static/pointer.js: copy the whole folder of the site.";
    return undefined;
  };
  for (const root of document.querySelectorAll(".repro-live[data-demo]")) {
    const {demo, page} = root.dataset, reason = missing(page);
    try {
      if (reason) root.replaceChildren(element("p", {role: "status"}, reason));
      else demonstrate(root, DEMOS[demo](data[page]));
    } catch (error) {
      const says = "This browser could not show the demonstration. Reload the page, or take a browser of 2021 or later";
      root.replaceChildren(element("p", {role: "status"}, `${says} (it said: ${error.message}).`));
      console.error(error);
    }
  }
})();
