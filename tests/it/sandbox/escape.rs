//! There is no way out of the sandbox, and nothing in it worth taking.

use std::collections::HashMap;
use std::net::TcpListener;

use bollard::models::ContainerConfig;
use bollard::query_parameters::CommitContainerOptionsBuilder;
use homeostat::sandbox::spec::ExecEnd;

use super::{python, shell, start, text};
use crate::support::docker::{BUSYBOX, SANDBOX};
use crate::support::name::unique;

#[tokio::test]
async fn no_address_answers() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // The control: the host itself gets an answer there.
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let program = format!(
        r#"
import socket
socket.setdefaulttimeout(5)
def attempt(name, do):
    try:
        do()
        print(name, "ANSWERED")
    except OSError as error:
        print(name, "refused")
for host, port in [("127.0.0.1", {port}), ("172.17.0.1", {port}), ("169.254.169.254", 80), ("1.1.1.1", 443), ("8.8.8.8", 53)]:
    attempt(host, lambda: socket.create_connection((host, port)))
attempt("::1", lambda: socket.create_connection(("::1", {port})))
attempt("2606:4700:4700::1111", lambda: socket.create_connection(("2606:4700:4700::1111", 443)))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("8.8.8.8", 53)))
attempt("dns", lambda: socket.getaddrinfo("example.com", 443))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
print(*(name for _, name in socket.if_nameindex()))
"#
    );
    let sandbox = start(SANDBOX).await;
    let lines = python(&sandbox, &program).await;
    let expected = [
        "127.0.0.1 refused",
        "172.17.0.1 refused",
        "169.254.169.254 refused",
        "1.1.1.1 refused",
        "8.8.8.8 refused",
        "::1 refused",
        "2606:4700:4700::1111 refused",
        "udp refused",
        "dns refused",
        "raw refused",
        "packet refused",
    ];
    assert_eq!(lines[..expected.len()], expected);
    // Some kernels add tunnel devices to every network namespace; they are down and lead nowhere.
    let interfaces: Vec<&str> = lines[expected.len()].split(' ').collect();
    assert!(
        interfaces.iter().all(|name| *name == "lo" || name.contains("tnl") || name.contains("sit")),
        "{interfaces:?}"
    );
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn no_environment_shows_anything_of_the_host() {
    // The runner of these tests has set this for us; the container must not have it, nor anything else that is not listed.
    assert!(homeostat::base::env::var("CARGO_MANIFEST_DIR").is_some());
    let program = r#"
import glob
names = set()
for path in glob.glob("/proc/[0-9]*/environ"):
    with open(path, "rb") as file:
        entries = file.read().split(b"\0")
    names |= {entry.decode() for entry in entries if entry and not entry.startswith((b"PATH=", b"HOSTNAME="))}
print(*sorted(names), sep="\n")
"#;
    let sandbox = start(SANDBOX).await;
    let expected = [
        "FTP_PROXY=",
        "HOME=/tmp",
        "HTTPS_PROXY=",
        "HTTP_PROXY=",
        "LANG=C.UTF-8",
        "NO_PROXY=",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
        "ftp_proxy=",
        "http_proxy=",
        "https_proxy=",
        "no_proxy=",
    ];
    let mut lines = python(&sandbox, program).await;
    // Shells set it for their children.
    lines.retain(|line| line != "PWD=/sandbox");
    assert_eq!(lines, expected);
    assert_eq!(text(&shell(&sandbox, "cat /etc/hostname").await.stdout), "sandbox\n");
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn there_is_no_engine_socket_and_no_mount_of_the_host() {
    let program = r#"
import os, stat
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys")]
    for name in files:
        path = os.path.join(folder, name)
        try:
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                print("socket", path)
        except OSError:
            pass
with open("/proc/self/mounts") as mounts:
    for line in mounts:
        source, target, kind = line.split()[:3]
        if source.startswith("/dev/"):
            print("host", target)
"#;
    let sandbox = start(SANDBOX).await;
    // The engine's init, and three files that it writes itself for each container.
    let known =
        ["/sbin/docker-init", "/usr/sbin/docker-init", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts"];
    let found = python(&sandbox, program).await;
    let unknown: Vec<&String> =
        found.iter().filter(|line| !known.iter().any(|path| **line == format!("host {path}"))).collect();
    assert!(unknown.is_empty() && found.len() <= 4, "{found:?}");
    // They are read-only like everything else, and a name for this machine is all they hold.
    assert_eq!(text(&shell(&sandbox, "getent hosts localhost | wc -l").await.stdout), "1\n");
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn only_the_workspace_and_tmp_can_be_written() {
    let sandbox = start(SANDBOX).await;
    let refused = [
        "/x",
        "/etc/x",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/usr/bin/x",
        "/home/agent/x",
        "/root/x",
        "/var/x",
        "/run/x",
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/x",
        "/sys/fs/cgroup/x",
        "/dev/x",
        "/dev/sda",
        "/dev/mem",
    ];
    for path in refused {
        let output = shell(&sandbox, &format!("echo x > {path}")).await;
        assert_ne!(output.end, ExecEnd::Exited { code: 0 }, "{path} could be written");
    }
    // Whatever else can be written is a small part of memory, and nothing of it is run: `/dev/shm`, devices, descriptors.
    let writable = shell(&sandbox, "find / -xdev -type d -writable 2>/dev/null; awk '{print $2}' /proc/mounts | while read -r it; do [ -w \"$it\" ] && echo \"$it\"; done").await;
    let mut writable: Vec<String> = text(&writable.stdout).lines().map(str::to_owned).collect();
    writable.retain(|path| !path.starts_with("/proc") && !path.starts_with("/dev/pts"));
    writable.sort();
    writable.dedup();
    let known = [
        "/dev/mqueue",
        "/dev/shm",
        "/sandbox",
        "/tmp",
        "/dev/null",
        "/dev/full",
        "/dev/random",
        "/dev/tty",
        "/dev/urandom",
        "/dev/zero",
    ];
    assert!(writable.iter().all(|path| known.contains(&path.as_str())), "{writable:?}");
    for path in ["/sandbox/x", "/tmp/x"] {
        let output = shell(
            &sandbox,
            &format!(
                "printf '#!/bin/sh\\necho ran' > {path} && chmod +x {path} && {path} && stat -c %u {path}"
            ),
        )
        .await;
        assert_eq!(text(&output.stdout), "ran\n1000\n", "{path}: {}", text(&output.stderr));
    }
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn there_is_no_privilege_to_use_or_gain() {
    let program = r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
with open("/proc/self/status") as status:
    for line in status:
        name, value = line.split(":")
        if name in ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"):
            print(name, *value.split())
def attempt(name, result):
    print(name, "WORKED" if result >= 0 else "refused")
def call(name, do):
    try:
        do()
        print(name, "WORKED")
    except OSError:
        print(name, "refused")
open("/tmp/mine", "w").close()
call("chown", lambda: os.chown("/tmp/mine", 0, 0))
call("setuid", lambda: os.setuid(0))
call("mknod", lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0)))
call("chroot", lambda: os.chroot("/tmp"))
call("setns", lambda: os.close(0 * os.open("/proc/1/root/etc/shadow", os.O_RDONLY)))
attempt("mount", libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
attempt("umount", libc.umount2(b"/proc/sysrq-trigger", 2))
attempt("unshare user", libc.unshare(0x10000000))
attempt("unshare mount", libc.unshare(0x00020000))
attempt("bpf", libc.syscall(321, 0, 0, 0))
attempt("keyctl", libc.syscall(250, 0, -3, 1))
attempt("reboot", libc.reboot(0))
attempt("sethostname", libc.sethostname(b"x", 1))
"#;
    let sandbox = start(SANDBOX).await;
    let expected = [
        "Uid 1000 1000 1000 1000",
        "Gid 1000 1000 1000 1000",
        "CapInh 0000000000000000",
        "CapPrm 0000000000000000",
        "CapEff 0000000000000000",
        "CapBnd 0000000000000000",
        "CapAmb 0000000000000000",
        "NoNewPrivs 1",
        "Seccomp 2",
        "chown refused",
        "setuid refused",
        "mknod refused",
        "chroot refused",
        "setns refused",
        "mount refused",
        "umount refused",
        "unshare user refused",
        "unshare mount refused",
        "bpf refused",
        "keyctl refused",
        "reboot refused",
        "sethostname refused",
    ];
    assert_eq!(python(&sandbox, program).await, expected);
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn only_its_own_processes_can_be_seen_or_traced() {
    let program = r#"
import ctypes, glob, os
libc = ctypes.CDLL(None, use_errno=True)
own = {1, os.getpid()}
for path in glob.glob("/proc/[0-9]*"):
    print(os.stat(path).st_uid, open(path + "/comm").read().strip())
# Numbers that processes of the host certainly have: none of them is a process here.
for pid in range(100, 2000):
    if pid not in own and libc.ptrace(16, pid, None, None) == 0:
        print("TRACED", pid)
"#;
    let sandbox = start(SANDBOX).await;
    let mut lines = python(&sandbox, program).await;
    lines.sort();
    assert_eq!(lines, ["1000 docker-init", "1000 python3", "1000 sh"]);
    sandbox.remove().await.unwrap();
}

/// An image that declares volumes would be given a folder of the host for each, without a limit.
#[tokio::test]
async fn a_volume_of_the_image_is_empty_and_read_only() {
    let docker = crate::support::docker::engine();
    let name = format!("homeostat/volume-{}", unique("image"));
    let (repository, tag) = (name.as_str(), "1");
    let from = bollard::models::ContainerCreateBody {
        image: Some(BUSYBOX.to_owned()),
        labels: Some(HashMap::from([("homeostat.watch".to_owned(), "false".to_owned())])),
        ..Default::default()
    };
    let made = docker.create_container(None, from).await.unwrap().id;
    let options = CommitContainerOptionsBuilder::new()
        .container(&made)
        .repo(repository)
        .tag(tag)
        .changes("VOLUME [\"/data\", \"/var/cache/more\"]")
        .build();
    docker.commit_container(options, ContainerConfig::default()).await.unwrap();
    docker.remove_container(&made, None).await.unwrap();

    let image = format!("{repository}:{tag}");
    let sandbox = start(&image).await;
    let inspected = docker.inspect_container(sandbox.id(), None).await.unwrap();
    let output = shell(&sandbox, "ls /data /var/cache/more; echo x > /data/x || echo refused; echo x > /var/cache/more/x || echo refused").await;
    sandbox.remove().await.unwrap();
    docker.remove_image(&image, None::<bollard::query_parameters::RemoveImageOptions>, None).await.unwrap();
    assert_eq!(text(&output.stdout).matches("refused").count(), 2, "{}", text(&output.stdout));
    let volumes: Vec<_> = inspected.mounts.unwrap_or_default().into_iter().filter_map(|it| it.name).collect();
    assert_eq!(volumes, Vec::<String>::new());
}
