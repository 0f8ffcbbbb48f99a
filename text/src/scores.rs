//! Scores of texts from a server, by LLaMA-Factory's protocol: `{"model": …, "messages": [text, …]}` is answered with
//! `{"scores": [number, …]}`.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::error::{Error, Result};

const CONNECT: Duration = Duration::from_secs(20);
/// The longest time to an answer: a large model may read many texts.
const ANSWER: Duration = Duration::from_secs(600);

/// What a server at `address` gives each of the texts.
///
/// # Errors
/// If it cannot be reached, or answers with something else than a number for each.
pub fn ask(address: &str, texts: &[String]) -> Result<Vec<f64>> {
    let wrong = |message: String| Error::Setting {
        key: "reward_model",
        message: format!("{address}: {}", recipe::shortened(message)),
    };
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(ANSWER))
        .user_agent(concat!("chandler/", env!("CARGO_PKG_VERSION")))
        .build();
    let body = json!({"model": "model", "messages": texts}).to_string();
    let request = Agent::new_with_config(config).post(address).header("Content-Type", "application/json");
    let mut answer = request.send(body).map_err(|error| wrong(error.to_string()))?;
    let text = answer.body_mut().read_to_string().map_err(|error| wrong(error.to_string()))?;
    let status = answer.status();
    if !status.is_success() {
        return Err(wrong(format!("answers {status}: {text}")));
    }
    let answer: Value =
        serde_json::from_str(&text).map_err(|error| wrong(format!("answers no JSON: {error}")))?;
    let numbers =
        answer["scores"].as_array().map(|all| all.iter().map_while(Value::as_f64).collect::<Vec<_>>());
    match numbers {
        Some(scores) if scores.len() == texts.len() => Ok(scores),
        _ => Err(wrong(format!(
            "answers {text}, where {{\"scores\": […]}} with {} numbers is wanted",
            texts.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers one request, and gives back what it was asked.
    fn served(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/score", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            let mut buffer = [0; 4096];
            while !asked.ends_with('}') {
                let count = stream.read(&mut buffer).unwrap();
                asked += std::str::from_utf8(&buffer[..count]).unwrap();
            }
            let length = answer.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        (address, thread)
    }

    #[test]
    fn each_text_gets_its_number() {
        let (address, server) = served(r#"{"scores": [0.5, -2]}"#);
        let texts = ["a".to_owned(), "\"b\"".to_owned()];
        assert_eq!(ask(&address, &texts).unwrap(), [0.5, -2.0]);
        let asked = server.join().unwrap();
        assert!(asked.starts_with("POST /score"), "{asked}");
        assert!(asked.contains(r#""messages":["a","\"b\""]"#), "{asked}");
    }

    #[test]
    fn an_answer_of_another_length_is_refused() {
        let (address, server) = served(r#"{"scores": [0.5]}"#);
        let refused = ask(&address, &["a".to_owned(), "b".to_owned()]).unwrap_err().to_string();
        server.join().unwrap();
        assert!(refused.starts_with("reward_model: http://127.0.0.1"), "{refused}");
        assert!(refused.contains("with 2 numbers is wanted"), "{refused}");
    }
}
