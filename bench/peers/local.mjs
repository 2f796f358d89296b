// local.mjs [BENCH...], writing to SCRATCH
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as m from "./measure.mjs";

const scratch = process.env.SCRATCH;
if (!m.wanted("b8")) process.exit(0);
const packages = `${process.cwd()}/node_modules`;
const versionOf = (name) => JSON.parse(readFileSync(`${packages}/${name}/package.json`)).version;
const kinds = [
  { metric: "exec_chain_of_40", count: 40, needs: (i) => (i > 0 ? [i - 1] : []) },
  { metric: "exec_fan_of_100", count: 100, needs: () => [] },
];
const indices = (count) => Array.from({ length: count }, (_, i) => i);

function measure(about, kind, folder, program, args, repeats) {
  const each = [];
  const path = `${packages}/.bin:${process.env.PATH}`;
  const env = { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: "1", WIREIT_LOGGER: "quiet", WIREIT_PARALLEL: "2" };
  for (let i = 0; i < repeats; ++i) {
    const began = m.now();
    execFileSync(program, args, { cwd: folder, env, stdio: "ignore" });
    each.push((m.now() - began) / kind.count);
  }
  m.report(about, "b8", kind.metric, "ms/task", each);
}

function measureMake(kind, folder) {
  const rules = indices(kind.count).map((i) => `j${i}:${kind.needs(i).map((n) => ` j${n}`).join("")}\n\t@true\n`);
  const all = indices(kind.count).map((i) => `j${i}`).join(" ");
  writeFileSync(`${folder}/Makefile`, `.PHONY: all ${all}\nall: ${all}\n${rules.join("")}`);
  const version = execFileSync("make", ["--version"]).toString().match(/[\d.]+/)[0];
  measure({ peer: "make", version, setting: "-j2, no log" }, kind, folder, "make", ["-j2", "all"], 5);
}

// turbo's tasks are scripts of packages: one package, one script a task.
function measureTurbo(kind, folder) {
  const scripts = Object.fromEntries(indices(kind.count).map((i) => [`j${i}`, "true"]));
  const tasks = Object.fromEntries(
    indices(kind.count).map((i) => [`j${i}`, { cache: false, dependsOn: kind.needs(i).map((n) => `j${n}`) }]),
  );
  const npm = execFileSync("npm", ["--version"]).toString().trim();
  const top = { name: "top", private: true, packageManager: `npm@${npm}`, workspaces: ["one"] };
  mkdirSync(`${folder}/one`);
  writeFileSync(`${folder}/package.json`, JSON.stringify(top));
  writeFileSync(`${folder}/one/package.json`, JSON.stringify({ name: "one", version: "1.0.0", scripts }));
  writeFileSync(`${folder}/turbo.json`, JSON.stringify({ tasks }));
  writeFileSync(`${folder}/package-lock.json`, JSON.stringify({ lockfileVersion: 3, packages: {} }));
  const names = Object.keys(scripts);
  const about = { peer: "turbo", version: versionOf("turbo"), setting: "concurrency 2, no cache; runs each through npm" };
  measure(about, kind, folder, `${packages}/.bin/turbo`, ["run", ...names, "--concurrency=2"], 1);
}

function measureWireit(kind, folder) {
  const tasks = Object.fromEntries(
    indices(kind.count).map((i) => [`j${i}`, { command: "true", dependencies: kind.needs(i).map((n) => `j${n}`) }]),
  );
  const names = Object.keys(tasks);
  const scripts = Object.fromEntries(["all", ...names].map((name) => [name, "wireit"]));
  const wireit = { all: { dependencies: names }, ...tasks };
  writeFileSync(`${folder}/package.json`, JSON.stringify({ name: "w", private: true, scripts, wireit }));
  const about = { peer: "wireit", version: versionOf("wireit"), setting: "WIREIT_PARALLEL=2, quiet" };
  measure(about, kind, folder, "npm", ["run", "all"], 1);
}

for (const kind of kinds) {
  for (const [name, run] of Object.entries({ measureMake, measureTurbo, measureWireit })) {
    const folder = `${scratch}/${kind.metric}-${name}`;
    mkdirSync(folder);
    try {
      run(kind, folder);
    } catch (error) {
      const reason = String(error.message).split("\n")[0];
      console.log(JSON.stringify({ peer: name.slice("measure".length).toLowerCase(), skipped: reason }));
    }
  }
}
