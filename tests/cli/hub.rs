//! Models by name: from the local cache, from a hub, or one clear error. The hub is a small server
//! in this process, so no test reaches the internet.

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{copy_folder, fixture};
use crate::program::{Room, finish};

const NAME: &str = "owner/tiny-model_1.0";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const WORDS: &str = "--no-gui --no-check --steps 2 a.png -o b.png --model owner/tiny-model_1.0";

/// What the hub does wrong.
#[derive(Clone, Default)]
struct Faults {
    /// The file of which half is sent, once.
    cut: Option<&'static str>,
    /// The file of which half is sent, after which nothing comes for long.
    stall: Option<&'static str>,
    /// The file that the hub has no time for, once.
    busy: Option<&'static str>,
    /// Every answer is this page, as networks say that want a login first.
    page: Option<&'static str>,
}

/// A server that answers for one model as huggingface.co does: files of weights by a redirection to
/// another place, others by one to another path.
struct Hub {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn serve(model: &str, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (folder, log, own) = (
            fixture("models").join(model),
            requests.clone(),
            address.clone(),
        );
        let faults = Arc::new(Mutex::new(faults));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, log, own) = (folder.clone(), log.clone(), own.clone());
                let faults = faults.clone();
                // A client that goes away is no fault of this server.
                std::thread::spawn(move || answer(stream, &own, &folder, &faults, &log).ok());
            }
        });
        Hub { address, requests }
    }

    fn command(&self, room: &Room, words: &str) -> Command {
        let mut command = room.command(words);
        command.env("HF_ENDPOINT", &self.address);
        command
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    address: &str,
    folder: &Path,
    faults: &Mutex<Faults>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let mut headers = HashMap::new();
    for line in lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
    {
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_string());
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_string();
    let range = headers.get("range").cloned().unwrap_or_default();
    log.lock().unwrap().push(format!("{path} {range}"));
    if let Some(page) = faults.lock().unwrap().page {
        return send(
            &mut stream,
            "200 OK",
            "Content-Type: text/html\r\n",
            page.as_bytes(),
        );
    }

    let busy = |name: &mut &str| path.ends_with(*name);
    if faults.lock().unwrap().busy.take_if(busy).is_some() {
        return send(&mut stream, "503 Service Unavailable", "", b"later");
    }

    let prefixes = [
        format!("/{NAME}/resolve/main/"),
        format!("/cdn/{COMMIT}/"),
        format!("/api/resolve-cache/models/{NAME}/{COMMIT}/"),
    ];
    let file = prefixes.iter().find_map(|prefix| path.strip_prefix(prefix));
    let Some((file, bytes)) = file.and_then(|file| Some((file, fs::read(folder.join(file)).ok()?)))
    else {
        return send(
            &mut stream,
            "404 Not Found",
            "X-Error-Code: EntryNotFound\r\n",
            b"no",
        );
    };
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    let etag = format!("\"{:016x}\"", hasher.finish());
    let is_weights = file.contains("diffusion_pytorch_model");
    if path.starts_with(&prefixes[0]) {
        return if is_weights {
            let headers = format!(
                "X-Repo-Commit: {COMMIT}\r\nX-Linked-Etag: {etag}\r\nLocation: {address}{}{file}\r\n",
                prefixes[1]
            );
            send(&mut stream, "302 Found", &headers, b"")
        } else {
            let location = format!("Location: {}{file}\r\n", prefixes[2]);
            send(&mut stream, "307 Temporary Redirect", &location, b"")
        };
    }
    let (first, last) = range
        .strip_prefix("bytes=")
        .and_then(|r| r.split_once('-'))
        .unwrap();
    let first: usize = first.parse().unwrap();
    let end = last.parse::<usize>().map_or(bytes.len(), |last| last + 1);
    let mut content = bytes[first.min(bytes.len())..end.min(bytes.len())].to_vec();
    let headers = format!(
        "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nX-Repo-Commit: {COMMIT}\r\n\
         ETag: {etag}\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{}/{}\r\n\r\n",
        content.len(),
        end - 1,
        bytes.len()
    );
    let mut faults = faults.lock().unwrap();
    let stalls = faults.stall.is_some_and(|name| file == name) && content.len() > 1;
    if stalls || content.len() > 1 && faults.cut.take_if(|name| file == *name).is_some() {
        content.truncate(content.len() / 2);
    }
    drop(faults);
    stream.write_all(headers.as_bytes())?;
    stream.write_all(&content)?;
    stream.flush()?;
    if stalls {
        std::thread::sleep(Duration::from_secs(12));
    }
    Ok(())
}

fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

/// A room with an input, and the picture that `model` makes of it when given as a folder.
fn room(model: &str) -> (Room, Vec<u8>) {
    let room = Room::new();
    room.picture("a.png", 5, 4);
    let folder = fixture("models").join(model);
    let words = WORDS.replace(NAME, folder.to_str().unwrap());
    room.succeeds(&words);
    let expected = room.read("b.png");
    fs::remove_file(room.path("b.png")).unwrap();
    (room, expected)
}

/// The folder of `NAME` in the cache beside `room`.
fn cache(room: &Room) -> PathBuf {
    room.hub()
        .join("hub")
        .join(format!("models--{}", NAME.replace('/', "--")))
}

/// The files that are neither locks nor parts of a download, by name.
fn snapshot(room: &Room) -> PathBuf {
    cache(room).join("snapshots").join(COMMIT)
}

#[test]
fn without_a_network_there_is_one_clear_error() {
    let (room, _) = room("ldm-like");
    room.refuses(
        WORDS,
        2,
        &[NAME, "could not be downloaded", "network", "local folder"],
    );
    let mut offline = room.command(WORDS);
    offline.env("HF_HUB_OFFLINE", "1");
    room.refuses_as(offline, WORDS, 2, &[NAME, "HF_HUB_OFFLINE"]);
}

#[test]
fn offline_mode_asks_nobody() {
    let (room, _) = room("ldm-like");
    let hub = Hub::serve("ldm-like", Faults::default());
    let mut command = hub.command(&room, WORDS);
    command.env("HF_HUB_OFFLINE", "1");
    room.refuses_as(command, WORDS, 2, &[NAME, "HF_HUB_OFFLINE"]);
    assert_eq!(hub.requests(), [""; 0]);
}

#[test]
fn a_model_in_the_cache_is_used_without_a_network() {
    let (room, expected) = room("ldm-like");
    copy_folder(&fixture("models/ldm-like"), &snapshot(&room));
    fs::create_dir(cache(&room).join("refs")).unwrap();
    fs::write(cache(&room).join("refs/main"), COMMIT).unwrap();
    for offline in ["", "1"] {
        let mut command = room.command(WORDS);
        command.env("HF_HUB_OFFLINE", offline);
        let run = finish(command.spawn().unwrap());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert!(room.read("b.png") == expected);
    }
    // A cache that lacks a file is not enough.
    fs::remove_file(room.path("b.png")).unwrap();
    fs::remove_file(snapshot(&room).join("vqvae/config.json")).unwrap();
    room.refuses(WORDS, 2, &[NAME, "could not be downloaded"]);
}

#[test]
fn a_model_is_downloaded_once_and_then_works_offline() {
    let (room, expected) = room("ldm-like");
    let hub = Hub::serve("ldm-like", Faults::default());
    let run = finish(hub.command(&room, WORDS).spawn().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.stderr, "a.png -> b.png (20 x 16)\n");
    assert!(room.read("b.png") == expected);
    let asked = hub.requests();
    for file in [
        "model_index.json",
        "unet/config.json",
        "vqvae/diffusion_pytorch_model.safetensors",
    ] {
        assert!(
            asked.iter().any(|request| request.contains(file)),
            "{file}: {asked:?}"
        );
    }
    assert!(
        !asked.iter().any(|request| request.contains(".bin")),
        "{asked:?}"
    );
    let downloaded = fs::read(snapshot(&room).join("unet/diffusion_pytorch_model.safetensors"));
    let original = fs::read(fixture(
        "models/ldm-like/unet/diffusion_pytorch_model.safetensors",
    ));
    assert!(downloaded.unwrap() == original.unwrap());

    fs::remove_file(room.path("b.png")).unwrap();
    room.succeeds(WORDS);
    assert!(room.read("b.png") == expected);
    let run = finish(hub.command(&room, WORDS).spawn().unwrap());
    assert_eq!(
        (run.code, hub.requests().len()),
        (Some(0), asked.len()),
        "{}",
        run.stderr
    );
}

/// What the hub does not tell now, it may tell later: the model is not taken for one without recommendations.
#[test]
fn a_hub_that_is_busy_is_asked_again_for_the_recommended_settings() {
    let (room, expected) = room("ldm-like");
    let faults = Faults {
        busy: Some("minkds.json"),
        ..Faults::default()
    };
    let hub = Hub::serve("ldm-like", faults);
    room.refuses_as(
        hub.command(&room, WORDS),
        WORDS,
        2,
        &[NAME, "minkds.json", "503"],
    );
    let run = finish(hub.command(&room, WORDS).spawn().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(room.read("b.png") == expected);
    let requests = hub.requests();
    let asked = requests
        .iter()
        .filter(|request| request.contains("minkds.json"));
    assert_eq!(asked.count(), 2, "{requests:?}");
}

/// The published checkpoints of 2022 have no safetensors.
#[test]
fn a_model_with_bin_files_is_downloaded_too() {
    let (room, expected) = room("old-names");
    let hub = Hub::serve("old-names", Faults::default());
    let run = finish(hub.command(&room, WORDS).spawn().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(room.read("b.png") == expected);
    room.succeeds(WORDS);
}

#[test]
fn a_name_that_the_hub_does_not_know_is_refused() {
    let (room, _) = room("ldm-like");
    let hub = Hub::serve("ldm-like", Faults::default());
    let words = WORDS.replace(NAME, "owner/other");
    room.refuses_as(
        hub.command(&room, &words),
        &words,
        2,
        &["owner/other", "404"],
    );
    for name in [
        "owner/",
        "/name",
        "owner/name/more",
        "../name",
        "owner/na:me",
        "-x/y",
    ] {
        let words = format!("--no-gui a.png -o b.png --model={name}");
        room.refuses_as(
            hub.command(&room, &words),
            &words,
            2,
            &[name, "does not exist"],
        );
    }
    assert!(
        hub.requests()
            .iter()
            .all(|request| request.contains("owner/other/resolve/main/"))
    );
}

#[test]
fn a_page_instead_of_a_file_is_refused() {
    let (room, _) = room("ldm-like");
    let page = Some("<html>Please log in to this network</html>");
    let hub = Hub::serve(
        "ldm-like",
        Faults {
            page,
            ..Faults::default()
        },
    );
    room.refuses_as(
        hub.command(&room, WORDS),
        WORDS,
        2,
        &[NAME, "could not be downloaded"],
    );
}

/// The weights of which half comes in what follows.
const FILE: &str = "unet/diffusion_pytorch_model.safetensors";

#[test]
fn a_broken_download_is_named() {
    let (room, _) = room("ldm-like");
    let faults = Faults {
        cut: Some(FILE),
        ..Faults::default()
    };
    let hub = Hub::serve("ldm-like", faults);
    room.refuses_as(hub.command(&room, WORDS), WORDS, 2, &[NAME, FILE]);
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let (room, expected) = room("ldm-like");
    let faults = Faults {
        cut: Some(FILE),
        ..Faults::default()
    };
    let hub = Hub::serve("ldm-like", faults);
    room.refuses_as(hub.command(&room, WORDS), WORDS, 2, &[NAME]);
    // What is there is no whole model.
    room.refuses(WORDS, 2, &[NAME, "could not be downloaded"]);
    let run = finish(hub.command(&room, WORDS).spawn().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(room.read("b.png") == expected);
    let half = fs::metadata(fixture("models/ldm-like").join(FILE));
    let resumed = format!("{FILE} bytes={}-", half.unwrap().len() / 2);
    let requests = hub.requests();
    assert!(
        requests.iter().any(|request| request.ends_with(&resumed)),
        "{requests:?}"
    );
}

#[test]
fn a_folder_comes_before_a_hub_name() {
    let (room, expected) = room("ldm-like");
    copy_folder(&fixture("models/ldm-like"), &room.path(NAME));
    room.succeeds(WORDS);
    assert!(room.read("b.png") == expected);
}

/// A download may take an hour: Ctrl-C must not wait for its end.
#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_download() {
    let (room, _) = room("ldm-like");
    let hub = Hub::serve(
        "ldm-like",
        Faults {
            stall: Some(FILE),
            ..Faults::default()
        },
    );
    let child = hub.command(&room, WORDS).spawn().unwrap();
    let start = std::time::Instant::now();
    while !hub
        .requests()
        .iter()
        .any(|request| request.contains(FILE) && request.ends_with("=0-"))
    {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{:?}",
            hub.requests()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(200));
    crate::interrupt::interrupt(&child);
    let run = finish(child);
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert!(run.took < Duration::from_secs(8), "{:?}", run.took);
    assert_eq!(room.names(), ["a.png"]);
}
