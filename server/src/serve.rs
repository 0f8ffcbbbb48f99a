//! Puts the server together and runs it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, signal::unix::SignalKind};

use crate::{
    board::ServerBoard,
    chat::{self, Chat},
    command::WorkerCommand,
    config::{self, FolderError, Folders},
    connections::{self, Limits},
    pool::{Pool, PoolConfig, PoolError},
    random,
    routes::{self, AppState, Metrics},
    security::{self, Gate, Hosts, PublicUrl},
    site::Site,
    store::{Store, StoreError},
};

/// Open requests get this long when the server is told to end.
const GRACE: Duration = Duration::from_secs(3);

/// How the dashboard is to be served.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Address or name to listen on.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Further host names that the board answers to.
    pub allow_host: Vec<String>,
    /// Where a proxy shows the board.
    pub public_url: Option<PublicUrl>,
    /// Asked of everyone who opens the board.
    pub password: Option<String>,
    /// Models, data and runs.
    pub folders: Folders,
    /// Runs that may train at the same time.
    pub slots: usize,
    /// Workers are stopped with a checkpoint when the server ends, instead of training on.
    pub stop_runs_on_exit: bool,
    /// Runs that were cut off while no server was there go on by themselves.
    pub resume_interrupted: bool,
    /// The largest file, in bytes, that is taken into the data folder.
    pub largest_upload: u64,
    /// MiB for keys and values of answers in the chat; none: half of the memory that is left when the model is loaded.
    pub chat_cache: Option<u64>,
}

/// Why the dashboard cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody listens there already.
    #[error("port {port} on {host} is taken, perhaps by another Chandler; choose another with --port")]
    Taken {
        /// As it was given.
        host: String,
        /// The port that is taken.
        port: u16,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {host} port {port}: {source}")]
    Listen {
        /// As it was given.
        host: String,
        /// As it was given.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// Another server works in this folder of runs.
    #[error("another Chandler works in {}; give this one a folder of its own with --runs-dir", .0.display())]
    Busy(PathBuf),
    /// A file of the server's own cannot be written.
    #[error("cannot write {path}: {source}{}", config::remedy(.path, .source), path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runs cannot be taken up.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The counters cannot be made.
    #[error("cannot count requests: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The system has no random numbers.
    #[error("cannot make a password: {0}")]
    Random(#[from] getrandom::Error),
}

/// Serves the dashboard until the process is asked to end. Workers train on, unless they are to end with it.
///
/// # Errors
/// If it cannot be started.
pub async fn serve(config: ServeConfig) -> Result<(), ServeError> {
    let (listener, address) = listen(&config).await?;
    let folders = config.folders.prepare()?;
    let _lock = lock(&folders.runs_dir)?;
    let store = Store::open(&database(&folders.runs_dir)?).await?;
    let worker = WorkerCommand::this_binary();
    let pool_config = PoolConfig {
        runs_dir: folders.runs_dir.clone(),
        slots: config.slots,
        worker: worker.clone(),
        resume_interrupted: config.resume_interrupted,
    };
    let pool = Pool::start(store, pool_config).await?;
    chat::tidy_up(&folders.runs_dir);
    let sockets = vec![folders.runs_dir.clone(), std::env::temp_dir()];
    let chat = Chat::in_folders(worker, sockets, config.chat_cache);
    let password = password(&config.host, config.password.as_deref())?;
    let mut gate = Gate::new(Hosts::new(&config.host, &config.allow_host), password.as_deref());
    if let Some(public) = config.public_url.clone() {
        gate = gate.behind(public);
    }
    let site = Site::find();
    let state = AppState {
        options: site.options(address),
        site: Arc::new(site),
        pool: pool.clone(),
        chat: chat.clone(),
        gate: Arc::new(gate),
        metrics: Metrics::new()?,
        board: Arc::new(ServerBoard::new(pool.clone(), folders, chat.clone(), config.largest_upload)),
    };
    let router = routes::router(state);
    println!("Chandler is ready at http://{}", reachable(&config.host, address));
    if let Some(public) = &config.public_url {
        println!("Behind a proxy, at {public}");
    }

    let (ending, mut ended) = tokio::sync::watch::channel(());
    let asked = async move {
        asked_to_end().await;
        drop(ending);
    };
    let limits = Limits { connections: room(), ..Limits::default() };
    tokio::select! {
        () = connections::serve(listener, router, limits, asked) => {}
        // Open pages would keep the server for as long as they are open.
        () = async { let _ = ended.changed().await; tokio::time::sleep(GRACE).await } => {}
    }
    chat.unload();
    if config.stop_runs_on_exit {
        tokio::select! {
            stopped = pool.stop_all() => stopped?,
            // Asked once more, it waits no longer.
            () = asked_to_end() => {}
        }
    }
    pool.close().await;
    Ok(())
}

async fn listen(config: &ServeConfig) -> Result<(TcpListener, SocketAddr), ServeError> {
    let host = config.host.trim_start_matches('[').trim_end_matches(']');
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::Taken { host: config.host.clone(), port: config.port },
        _ => ServeError::Listen { host: config.host.clone(), port: config.port, source },
    };
    let listener = TcpListener::bind((host, config.port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Connections that there are descriptors for, beside those of files, workers and the database. The system's limit for
/// this process is raised as far as it goes: it is low for programs that use an old call, `select`, which nothing here does.
fn room() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { raised.current } else { limit.current };
    let half = now.map_or(usize::MAX, |most| usize::try_from(most / 2).unwrap_or(usize::MAX));
    Limits::default().connections.min(half.max(1))
}

/// Two servers in one folder would both write its runs. The system lets go of the lock however this
/// process ends.
fn lock(runs_dir: &Path) -> Result<File, ServeError> {
    let file = writable(runs_dir.join(".lock"), File::options().create(true).truncate(false))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServeError::Busy(runs_dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(ServeError::Write { path: runs_dir.join(".lock"), source }),
    }
}

/// The database's path. SQLite says no more of a file that it may not write than that it cannot be opened.
fn database(runs_dir: &Path) -> Result<PathBuf, ServeError> {
    let path = runs_dir.join("chandler.db");
    if path.exists() {
        writable(path.clone(), &mut File::options())?;
    }
    Ok(path)
}

fn writable(path: PathBuf, options: &mut OpenOptions) -> Result<File, ServeError> {
    options.write(true).open(&path).map_err(|source| ServeError::Write { path, source })
}

/// The password given; on a network address without one, a new one that is printed once.
fn password(host: &str, given: Option<&str>) -> Result<Option<String>, ServeError> {
    if given.is_some() || security::is_loopback(host) {
        return Ok(given.map(str::to_owned));
    }
    let password = random::word(16)?;
    println!("The board can be reached from the network. Its password: {password}");
    println!("(Give your own with --password or CHANDLER_PASSWORD.)");
    Ok(Some(password))
}

/// An address that a browser on this machine can open.
fn reachable(host: &str, address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("127.0.0.1:{}", address.port()),
        false if host.eq_ignore_ascii_case("localhost") => format!("localhost:{}", address.port()),
        false => address.to_string(),
    }
}

/// Resolves when the process is interrupted or terminated.
async fn asked_to_end() {
    let Ok(mut terminate) = tokio::signal::unix::signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_on_the_network_always_has_a_password() {
        for host in ["127.0.0.1", "localhost", "[::1]", "127.8.0.1"] {
            assert_eq!(password(host, None).unwrap(), None, "{host}");
            assert_eq!(password(host, Some("mine")).unwrap().as_deref(), Some("mine"), "{host}");
        }
        for host in ["0.0.0.0", "[::]", "192.168.1.5", "board.example"] {
            let made = || password(host, None).unwrap().unwrap_or_default();
            assert!(made().len() >= 16 && made() != made(), "{host} gets a new one each time");
            assert_eq!(password(host, Some("mine")).unwrap().as_deref(), Some("mine"), "{host}");
        }
    }
}
