# Shared by the scripts beside it; sourced, not run.
# shellcheck shell=bash

export PATH="$PATH:/usr/sbin:/sbin"
umask 022

# What is kept between runs and machines' restarts: the tests' PostgreSQL, logs. Never inside the repository.
if [ "$(id -u)" = 0 ]; then
  state=/var/lib/homeostat-dev
else
  state=${XDG_STATE_HOME:-$HOME/.local/state}/homeostat-dev
fi

base=debian:bookworm-slim

say() { printf 'setup: %s\n' "$*" >&2; }

stop() {
  printf 'setup: stopped: %s\n' "$*" >&2
  exit 1
}

# is_alive PID NAME: whether this process runs and is the one that is meant, not another with its old number. One that has ended and waits
# to be reaped does not run.
is_alive() { grep -qsx "Name:.$2" "/proc/$1/status" && ! grep -qs '^State:.[ZX]' "/proc/$1/status"; }

# Whether any process of this name runs.
runs() {
  local folder
  for folder in /proc/[0-9]*; do
    ! is_alive "${folder#/proc/}" "$1" || return 0
  done
  return 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# need_root PURPOSE: ends the script where it may not be root, before anything is half done.
need_root() {
  [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; } ||
    stop "cannot $1: it takes root, and sudo is not there or would ask for a password (run \`sudo -v\` first)"
}

# Runs a command as root; after need_root.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

# quietly NAME COMMAND…: runs it with its output in a log; shows the log's end when it fails.
quietly() {
  local log=$state/$1.log
  shift
  "$@" >"$log" 2>&1 && return
  tail -n 15 "$log" >&2
  say "the whole output is in $log"
  return 1
}

# Installs Debian packages, with no questions and without starting what they bring: setup starts what it needs itself.
install_packages() {
  have apt-get || stop "missing: $*; there is no apt-get here: install them and run this again"
  need_root "install $*"
  say "installing $*"
  local policy=/usr/sbin/policy-rc.d guard=
  if [ ! -e $policy ]; then
    guard=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
  fi
  # An update may complain about one dead mirror among several; whether it was enough is seen at the installation.
  quietly apt-update as_root apt-get update -q || true
  local status=0
  quietly apt-install as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qy --no-install-recommends -o Dpkg::Use-Pty=0 "$@" || status=1
  [ -z "$guard" ] || as_root rm -f $policy
  [ $status = 0 ] || stop "the packages cannot be installed (no network, or no such package here): $*"
}

# The proxies that apt or the environment of this machine use, for those that run elsewhere: NAME=VALUE lines.
proxies() {
  local Http='' Https=''
  if have apt-config; then
    eval "$(apt-config shell Http Acquire::http::Proxy Https Acquire::https::Proxy)"
  fi
  [ "$Http" != DIRECT ] || Http=
  [ "$Https" != DIRECT ] || Https=
  Http=${http_proxy:-$Http}
  Https=${https_proxy:-$Https}
  [ -z "$Http" ] || printf 'http_proxy=%s\n' "$Http"
  [ -z "$Https" ] || printf 'https_proxy=%s\n' "$Https"
  [ -z "${no_proxy:-}" ] || printf 'no_proxy=%s\n' "$no_proxy"
}

# The base of every image: from the registry, else made here from Debian's packages.
base_image() {
  docker image inspect "$base" >/dev/null 2>&1 && return
  say "pulling $base"
  if ! quietly pull timeout 120 docker pull "$base" 2>/dev/null; then
    say "it cannot be pulled; making it from Debian's packages instead (a minute or two, once)"
    bootstrap_base
  fi
}

bootstrap_base() {
  need_root "make $base"
  if ! have debootstrap || [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
    install_packages debootstrap debian-archive-keyring
  fi
  local root mirror='' include=''
  # This machine's own mirror, where it is one of Debian's; else debootstrap's default.
  if have apt-get; then
    # shellcheck disable=SC2016 # apt-get expands them
    mirror=$(apt-get indextargets --format '$(LABEL)|$(REPO_URI)|$(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
      sed -n 's/^Debian|\(.*\)|main$/\1/p' | head -n 1)
  fi
  case $mirror in
    *@*) mirror='' ;; # a password must not get into an image
    https:*) include=--include=ca-certificates ;;
  esac
  root=$(as_root mktemp -d /var/tmp/homeostat-base.XXXXXX)
  local made=yes
  # shellcheck disable=SC2046,SC2086 # the lists are meant to be split, and to vanish when empty
  quietly debootstrap as_root env $(proxies) debootstrap --variant=minbase $include bookworm "$root" $mirror &&
    trim_base "$root" &&
    as_root tar -C "$root" -c . | quietly import docker import --change 'CMD ["bash"]' - "$base" ||
    made=
  as_root rm -rf "$root"
  [ "$made" ] || stop "no base image: $base can neither be pulled nor made here"
}

# trim_base ROOT: leaves out what the registry's slim image leaves out too, and lets apt in it reach what apt here reaches.
trim_base() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  as_root sh -c 'cd "$1" && rm -rf var/cache/apt/archives/*.deb var/cache/apt/*.bin var/lib/apt/lists/* var/log/*.log \
    usr/share/doc/* usr/share/man/* usr/share/info/* usr/share/locale/*' sh "$1"
  if have apt-config; then
    # Not its proxy, which may hold a password: that one is given to each build, and stays out of the image.
    apt-config dump | grep -E '^Acquire::Check-(Valid-Until|Date) ' |
      as_root tee "$1/etc/apt/apt.conf.d/99homeostat" >/dev/null || true
  fi
  if [ -d "$1/etc/ssl/certs" ] && compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    as_root cp /usr/local/share/ca-certificates/*.crt "$1/usr/local/share/ca-certificates/"
    quietly certificates as_root chroot "$1" update-ca-certificates
  fi
}

# build_image TAG DOCKERFILE [DOCKERFILE OF ITS BASE]: builds it unless it was built from these very files.
build_image() {
  local tag=$1 file=$2 source have_source
  source=$(cat "${@:2}" | sha256sum | cut -c 1-64)
  have_source=$(docker image inspect --format '{{index .Config.Labels "homeostat.source"}}' "$tag" 2>/dev/null || true)
  [ "$have_source" != "$source" ] || return 0
  [ $# -gt 2 ] || base_image
  say "building $tag"
  local arguments=(--tag "$tag" --label "homeostat.source=$source") proxy
  while read -r proxy; do arguments+=(--build-arg "$proxy"); done < <(proxies)
  quietly build docker build "${arguments[@]}" - <"$file" 2>/dev/null && return
  # Where the engine may not change the host's packet filter its bridge leads nowhere.
  say "building $tag again, on the host's network"
  quietly build docker build --network host "${arguments[@]}" - <"$file" || stop "$tag cannot be built"
}
