# Shared by scripts/demo and scripts/test: a checkout that was just cloned becomes one that runs, saying what it does.
# Must not install anything outside the checkout. Source it from the root of the checkout.

say() { printf '%s\n' "$*" >&2; }

ensure_node() {
  local version
  version=$(node --version 2>/dev/null) || { say "node is not installed; install Node.js 20.19 or newer"; exit 2; }
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    { say "node $version is too old; install Node.js 20.19 or newer"; exit 2; }
}

# npm writes node_modules/.package-lock.json last, so its age tells of a whole installation.
ensure_installed() {
  ensure_node
  local stamp=node_modules/.package-lock.json
  if [ -f "$stamp" ] && [ ! package-lock.json -nt "$stamp" ]; then return; fi
  say "installing packages (npm ci), once; takes a minute or two …"
  local started=$SECONDS
  npm ci --no-audit --no-fund --loglevel=error >&2 || { say "npm ci failed; see above"; exit 1; }
  touch "$stamp"
  say "installed in $((SECONDS - started)) s"
}

# Built when there is nothing, or when a source is newer than the last build.
ensure_built() {
  local entry=dist/src/cli/main.js stamp=dist/.built
  if [ -f "$entry" ] && [ -f "$stamp" ] &&
    [ -z "$(find src tsconfig.json package.json -newer "$stamp" -type f -print -quit)" ]; then return; fi
  say "building (npm run build) …"
  local started=$SECONDS
  npm run --silent build >&2 || { say "the build failed; see above"; exit 1; }
  touch "$stamp"
  say "built in $((SECONDS - started)) s"
}
