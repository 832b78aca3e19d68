#!/bin/sh
# Installs the interpreters that heapsight is tested on and that this machine may lack, into .interpreters/:
#
#   scripts/interpreters.sh                   everything below
#   scripts/interpreters.sh debian            CPython 3.13, 3.14 and 3.15, each as a normal and as a debug build
#   scripts/interpreters.sh free-threaded     CPython 3.13t, built from Debian's source package
#
# Run twice, it does nothing the second time; delete .interpreters/ to start again. Nothing outside that folder is
# touched and root is not needed. The result is .interpreters/bin/python3.14 and so on: ordinary interpreters,
# whose sys.executable, subprocesses and virtual environments work. They are tied to this folder: after moving
# the repository, install again.
#
# Needs a Debian-like machine: apt-get, dpkg-deb, a C compiler and the development files of zlib, OpenSSL and libffi (the
# build). The mirror is the one that this machine's apt uses; elsewhere set HEAPSIGHT_DEBIAN_MIRROR.
# The build takes about 10 minutes on one core; HEAPSIGHT_BUILD_JOBS sets how many it uses (1).
#
# How: packages of Debian's development release are unpacked, not installed, and the C library in them is newer than the
# machine's. So the unpacked programs are told (patchelf) to start through the unpacked dynamic loader and to look for
# libraries beside it first: no chroot, no mount, no environment variable that a subprocess would inherit.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)/.interpreters
apt=$root/apt
sid=$root/sid
binary_suite=sid
versions="3.13 3.14 3.15"
source_suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'interpreters: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# The URI from which this machine's own release comes, as apt itself understands its configuration.
mirror() {
    if [ -n "${HEAPSIGHT_DEBIAN_MIRROR:-}" ]; then
        printf '%s\n' "$HEAPSIGHT_DEBIAN_MIRROR"
        return
    fi
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Identifier: Packages' |
        awk -v codename="$codename" '$1 == codename { print $2; exit }'
}

# A private apt that knows the two suites and believes that nothing is installed. It keeps the machine's own
# settings (proxies and the like) because only the places it writes to are changed.
prepare_apt() {
    command -v apt-get >/dev/null || fail "apt-get not found: this script needs a Debian-like machine"
    uri=$(mirror)
    [ -n "$uri" ] || fail "no Debian mirror in this machine's apt sources: set HEAPSIGHT_DEBIAN_MIRROR"
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    : > "$apt/state/status"
    cat > "$apt/sources.list" <<END
deb [signed-by=$keyring] $uri $binary_suite main
deb-src [signed-by=$keyring] $uri $source_suite main
END
    cat > "$apt/apt.conf" <<END
Dir::State "$apt/state";
Dir::State::status "$apt/state/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Sandbox::User "root";
Acquire::Languages "none";
END
    export APT_CONFIG="$apt/apt.conf"
    say "reading the package lists"
    apt-get -qq update
}

patch_elf() { "$loader" --library-path "$libraries" "$sid/usr/bin/patchelf" "$@"; }

install_debian() {
    [ -e "$root/.done-debian" ] && return
    prepare_apt
    packages="patchelf libpython3.14-testsuite"
    programs=
    for version in $versions; do
        packages="$packages python$version python$version-dev python$version-venv python$version-dbg"
        programs="$programs python$version python$version-dbg"
    done
    say "downloading $packages"
    # shellcheck disable=SC2086 # a list of words
    apt-get -qq -y --no-install-recommends --download-only install $packages

    rm -rf "$sid"
    # The layout in which /bin and /lib are links into /usr is made by a package that only an installation runs.
    mkdir -p "$sid/usr/bin" "$sid/usr/sbin" "$sid/usr/lib" "$sid/usr/lib64"
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$sid/$name"; done
    say "unpacking"
    for package in "$apt"/cache/archives/*.deb; do
        dpkg-deb --extract "$package" "$sid"
    done
    apt-get -qq clean
    # Every library a program here can need is beside the loader; documentation and static libraries are dead weight.
    rm -rf "$sid/usr/share/doc" "$sid/usr/share/man" "$sid/usr/share/locale"
    find "$sid/usr/lib" -name '*.a' -delete

    triplet=$(dpkg --print-architecture | sed 's/amd64/x86_64/; s/arm64/aarch64/')-linux-gnu
    libraries=$sid/usr/lib/$triplet
    loader=$(find "$libraries" -name 'ld-linux-*.so.*' | head -n 1)
    [ -n "$loader" ] || fail "no dynamic loader in the unpacked libc6"
    mkdir -p "$root/bin"
    for name in $programs; do
        # DT_RPATH, not DT_RUNPATH: it must hold for the libraries that the interpreter's own extension modules need.
        # In two steps and in this order: both at once makes patchelf 0.18 lay out overlapping segments.
        program=$(readlink -f "$sid/usr/bin/$name")
        patch_elf --force-rpath --set-rpath "$libraries" "$program"
        patch_elf --set-interpreter "$loader" "$program"
        ln -sf "../sid/usr/bin/$name" "$root/bin/$name"
    done
    # pyconfig.h includes <x86_64-linux-gnu/python3.x/pyconfig.h>; the include folder as a whole must not be searched,
    # for the newer C library's headers are in it.
    for headers in "$sid"/usr/include/python3*; do
        ln -sfn "../$triplet" "$headers/$triplet"
    done
    # ensurepip finds its wheels through this absolute path.
    find "$sid/usr/lib" -name '_sysconfig*' -type f \( -name '*.py' -o -name '*.json' \) \
        -exec sed -i "s|/usr/share/python-wheels|$sid/usr/share/python-wheels|g" {} +
    for name in $programs; do
        "$root/bin/$name" -c 'import ctypes, ssl, sys; print("interpreters:", sys.version)' >&2
    done
    : > "$root/.done-debian"
}

install_free_threaded() {
    [ -e "$root/.done-free-threaded" ] && return
    prepare_apt
    build=$root/build
    rm -rf "$build"
    mkdir -p "$build"
    (cd "$build" && apt-get -qq --download-only source python3.13 && tar -xf python3.13_*.orig.tar.xz)
    cd "$build"/Python-3.13*/ || fail "unexpected contents of Debian's python3.13 source package"
    say "building 3.13t; the log is $root/build-3.13t.log"
    # No profile-guided optimisation: it trebles the time, and a test interpreter does not need it.
    {
        ./configure --prefix="$root/3.13t" --disable-gil --with-ensurepip=install &&
            nice -n 19 make -j "${HEAPSIGHT_BUILD_JOBS:-1}" && make install
    } > "$root/build-3.13t.log" 2>&1 || fail "the build of 3.13t failed: see $root/build-3.13t.log"
    mkdir -p "$root/bin"
    ln -sf ../3.13t/bin/python3.13t "$root/bin/python3.13t"
    "$root/bin/python3.13t" -c 'import ctypes, ssl, sys; print("interpreters:", sys.version)' >&2
    cd "$root"
    rm -rf "$build"
    : > "$root/.done-free-threaded"
}

mkdir -p "$root"
[ $# -gt 0 ] || set -- debian free-threaded
for target in "$@"; do
    case $target in
        debian) install_debian ;;
        free-threaded) install_free_threaded ;;
        *) fail "unknown target '$target': use debian or free-threaded" ;;
    esac
done
say "ready: $root/bin"
