//! Models by name: looked up in the local Hugging Face cache, else downloaded.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo};

use super::source::{CONFIGS, PARTS};
use crate::error::{Error, Result};

/// How far a download is: file name, bytes done, bytes in all. It is told twenty times a second, also while
/// nothing comes; its error ends the download, which goes on from there next time.
pub type DownloadProgress<'a> = &'a mut dyn FnMut(&str, u64, u64) -> Result<()>;

/// How long a download that is no longer wanted goes unnoticed at most.
const PATIENCE: Duration = Duration::from_millis(50);

const WEIGHTS: [&str; 2] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin",
];
const RECOMMENDED: &str = "minkds.json";

/// The local folder of the model `name`, complete.
pub fn folder(name: &str, progress: DownloadProgress) -> Result<PathBuf> {
    let cache = Cache::from_env();
    let cached = cache.repo(Repo::model(name.to_string()));
    let complete = CONFIGS.iter().all(|file| cached.get(file).is_some())
        && PARTS.iter().all(|part| {
            WEIGHTS
                .iter()
                .any(|file| cached.get(&format!("{part}/{file}")).is_some())
        });
    if complete && let Some(index) = cached.get(CONFIGS[0]) {
        return parent(name, index);
    }
    download(name, progress)
}

fn parent(name: &str, index: PathBuf) -> Result<PathBuf> {
    index.parent().map(PathBuf::from).ok_or_else(|| Error::Hub {
        name: name.to_string(),
        what: format!("{} lies in no folder", index.display()),
    })
}

fn download(name: &str, progress: DownloadProgress) -> Result<PathBuf> {
    let fail = |file: &str, e: ApiError| Error::Hub {
        name: name.to_string(),
        what: match e {
            // A download that was stopped while nothing came holds its file until something does.
            ApiError::LockAcquisition(_) => format!(
                "{file} is being downloaded already, by another program or by a download that was \
                 stopped here and still waits for the hub. Wait until that is over, or start this \
                 program again"
            ),
            e => format!(
                "there is no folder of that name here, it is not in the local Hugging Face cache, and \
                 {file} could not be downloaded ({e}). Check the name and the network, or give --model \
                 a local folder, or leave it out to use the bundled model"
            ),
        },
    };
    if std::env::var("HF_HUB_OFFLINE").is_ok_and(|v| !matches!(v.as_str(), "" | "0")) {
        return Err(Error::Hub {
            name: name.to_string(),
            what: "there is no folder of that name here, it is not in the local Hugging Face \
                   cache, and HF_HUB_OFFLINE forbids downloading"
                .to_string(),
        });
    }
    let api = ApiBuilder::from_env()
        .with_progress(false)
        .build()
        .map_err(|e| fail("nothing", e))?;
    let api = Arc::new(api.model(name.to_string()));
    let [index, others @ ..] = CONFIGS;
    let index = get(&api, index, progress)?.map_err(|e| fail(index, e))?;
    for file in others {
        get(&api, file, progress)?.map_err(|e| fail(file, e))?;
    }
    // Recommended settings are this project's own file; other models have none. They come before the weights:
    // a cache that has these is not asked for more.
    match get(&api, RECOMMENDED, progress)? {
        Err(e) if !is_missing(&e) => return Err(fail(RECOMMENDED, e)),
        _ => {}
    }
    for part in PARTS {
        let [safetensors, bin] = WEIGHTS.map(|file| format!("{part}/{file}"));
        match get(&api, &safetensors, progress)? {
            Ok(_) => {}
            Err(e) if is_missing(&e) => {
                get(&api, &bin, progress)?.map_err(|e| fail(&bin, e))?;
            }
            Err(e) => return Err(fail(&safetensors, e)),
        }
    }
    parent(name, index)
}

/// Whether the hub answered that there is no such file, which hf-hub tells in words only.
fn is_missing(error: &ApiError) -> bool {
    matches!(error, ApiError::RequestError(answer) if answer.to_string().contains("404"))
}

/// `file`, or why the hub does not give it; the outer error is that of `progress`.
///
/// hf-hub cannot be told to stop, so it works in a thread of its own. When nobody hears of it any more, that unwinds
/// with the next bytes: what has come is kept, and its lock is released.
fn get(
    api: &Arc<ApiRepo>,
    file: &str,
    progress: DownloadProgress,
) -> Result<Result<PathBuf, ApiError>> {
    let (news, heard) = mpsc::channel();
    let (api, name) = (Arc::clone(api), file.to_string());
    let (mut done, mut total) = (0, 0);
    let report = Report { news, done, total };
    let thread = std::thread::spawn(move || api.download_with_progress(&name, report));
    loop {
        match heard.recv_timeout(PATIENCE) {
            Ok(far) => (done, total) = far,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        progress(file, done, total)?;
    }
    Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// Tells how far it is; whoever does not listen wants no more of it.
struct Report {
    news: Sender<(u64, u64)>,
    done: u64,
    total: u64,
}

impl Report {
    fn say(&self) {
        if self.news.send((self.done, self.total)).is_err() {
            resume_unwind(Box::new("nobody wants this file any more"));
        }
    }
}

impl Progress for Report {
    fn init(&mut self, size: usize, _filename: &str) {
        self.done = 0;
        self.total = size as u64;
        self.say();
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        self.say();
    }

    fn finish(&mut self) {
        self.done = self.total;
        self.say();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::Receiver;

    use super::*;

    const SIZE: usize = 40_000;
    const HALF: u64 = 20_000;

    /// A hub with one file. Whoever asks from its beginning gets half of it, and a byte more when `go_on` ends;
    /// from further on it sends what is left. It tells from where it was asked.
    fn hub(go_on: Receiver<()>) -> (String, Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (tell, asked) = mpsc::channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (first, last) = range(&stream);
                let end = last.map_or(SIZE, |last| last + 1);
                let head = format!(
                    "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nX-Repo-Commit: 0123\r\n\
                     ETag: \"4567\"\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{}/{SIZE}\r\n\r\n",
                    end - first,
                    end - 1
                );
                stream.write_all(head.as_bytes()).unwrap();
                if last.is_some() {
                    stream.write_all(b"0").unwrap();
                } else if first == 0 {
                    stream.write_all(&[0; HALF as usize]).unwrap();
                    let _ = go_on.recv();
                    // Whoever no longer listens may have hung up by now.
                    let _ = stream.write_all(&[1]);
                } else {
                    tell.send(first).unwrap();
                    stream.write_all(&vec![2; SIZE - first]).unwrap();
                }
            }
        });
        (address, asked)
    }

    /// Which bytes a request asks for.
    fn range(stream: &TcpStream) -> (usize, Option<usize>) {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        let mut range = None;
        for line in lines.take_while(|line| !line.is_empty()) {
            let line = line.to_ascii_lowercase();
            range = range.or(line.strip_prefix("range: bytes=").map(str::to_string));
        }
        let range = range.unwrap();
        let (first, last) = range.split_once('-').unwrap();
        (first.parse().unwrap(), last.parse().ok())
    }

    #[test]
    fn a_download_stops_at_once_even_if_nothing_comes_and_goes_on_from_there() {
        let (hang_up, go_on) = mpsc::channel();
        let (address, asked) = hub(go_on);
        let cache = tempfile::tempdir().unwrap();
        let api = ApiBuilder::new()
            .with_endpoint(address)
            .with_cache_dir(cache.path().to_path_buf())
            .with_progress(false)
            .build()
            .unwrap();
        let api = Arc::new(api.model("owner/name".to_string()));

        let mut silent = 0;
        let stopped = get(&api, "file", &mut |file, done, total| {
            assert_eq!(file, "file");
            silent += u32::from((done, total) == (HALF, SIZE as u64));
            // The first time it has just come; after that nothing does.
            if silent > 2 {
                Err(Error::Cancelled)
            } else {
                Ok(())
            }
        });
        assert!(matches!(stopped, Err(Error::Cancelled)));

        drop(hang_up);
        let mut last = (0, 0);
        let path = get(&api, "file", &mut |_, done, total| {
            last = (done, total);
            Ok(())
        });
        let content = std::fs::read(path.unwrap().unwrap()).unwrap();
        assert_eq!(last, (SIZE as u64, SIZE as u64));
        assert_eq!(asked.recv(), Ok(HALF as usize));
        let expected = [[0; HALF as usize], [2; HALF as usize]].concat();
        assert!(content == expected);
    }
}
