//! `chandler health`: for a container's health check, which has no other HTTP client.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use super::CliError;

const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Port that the dashboard listens on, on this machine
    #[arg(long, env = "CHANDLER_PORT", default_value_t = 7860)]
    port: u16,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let address = (Ipv4Addr::LOCALHOST, args.port).into();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)
        .map_err(|e| format!("no dashboard answers on {address}: {e}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    if answer.split(' ').nth(1) == Some("200") {
        println!("ok");
        return Ok(());
    }
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Err(format!("the dashboard on {address} is not well: {}", body.trim()).into())
}
