//! Names over the userspace network: `--allow dns` leads to this host's name server and nowhere else.

use std::net::UdpSocket;

use tests::{App, Backend, Ringwall, in_own_network, on_each_backend};

on_each_backend!(a_guest_resolves_names_with_the_hosts_server, without_a_rule_there_is_no_resolver);

/// Says what the address of any name is, until an empty message comes: a message of one question, and one answer of that kind.
fn serve(socket: &UdpSocket) {
    const A: u8 = 1;
    let mut query = [0; 512];
    while let Ok((size_bytes, from)) = socket.recv_from(&mut query) {
        let query = &query[..size_bytes];
        if query.is_empty() {
            return;
        }
        let kind = query[size_bytes - 3];
        let answers = u8::from(kind == A);
        // The question's number, "answer, no error", one question (RFC 1035, section 4.1.1).
        let mut reply = [&query[..2], &[0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0], &query[12..]].concat();
        if kind == A {
            // The name of the question; IPv4 address, Internet, a minute, four bytes.
            reply.extend([0xc0, 12, 0, A, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 33]);
        }
        socket.send_to(&reply, from).unwrap();
    }
}

fn a_guest_resolves_names_with_the_hosts_server(backend: Backend) {
    in_own_network(|| {
        let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
        assert!(up.success());
        let server = UdpSocket::bind("127.0.0.1:53").unwrap();
        // A network of its own, and a name server's address of its own.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("resolv.conf");
        std::fs::write(&file, "nameserver 127.0.0.1\n").unwrap();
        let mount = format!("mount --bind {} /etc/resolv.conf && exec \"$0\" \"$@\"", file.display());
        std::thread::scope(|scope| {
            scope.spawn(|| serve(&server));
            let run = Ringwall::under(&["unshare", "--mount", "sh", "-c", &mount])
                .args(["run", "--allow", "dns"])
                .image(backend, App::Forge.image())
                .guest(&["resolve", "host.example.org"])
                .run();
            // Ends the server: an empty message is no question.
            let waker = UdpSocket::bind("127.0.0.1:0").unwrap();
            waker.send_to(&[], "127.0.0.1:53").unwrap();
            let run = run.expect(0);
            assert_eq!(run.stdout.lines().last(), Some("host.example.org 192.0.2.33"), "{}", run.stdout);
        });
    });
}

fn without_a_rule_there_is_no_resolver(backend: Backend) {
    let run = Ringwall::run_app(backend, App::Forge).guest(&["resolve", "host.example.org"]).run().expect(4);
    assert!(run.stdout.lines().last().unwrap().starts_with("host.example.org: "), "{}", run.stdout);
}
