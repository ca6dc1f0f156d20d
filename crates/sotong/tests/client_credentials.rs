//! How a client logs in: the URL's user name, Basic, Bearer, cookies, and which goes first.

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use scripted::Scripted;
use sotong::{Client, ConnectError, CredentialsError, UrlError};
use support::soon;

/// What a server is told in a header of that name.
async fn told(client: &Client, userinfo: &str, name: &str) -> Vec<String> {
    let server = Scripted::start().await;
    let connecting = tokio::spawn(client.connect(&format!("ws://{userinfo}{}/", server.address)));
    let asked = server.request().await;
    let values = asked.fields(name).into_iter().map(str::to_owned).collect();
    let _served = asked.open("").await;
    soon(connecting).await.expect("no panic").expect("connected");
    values
}

#[tokio::test]
async fn the_users_name_of_the_url_is_sent_as_browsers_send_it() {
    let client = Client::new();
    for (userinfo, expected) in [
        ("user:password@", "Basic dXNlcjpwYXNzd29yZA=="),
        ("user@", "Basic dXNlcjo="),
        (":password@", "Basic OnBhc3N3b3Jk"),
        ("us%40er:pass%3Aword@", "Basic dXNAZXI6cGFzczp3b3Jk"),
        // In UTF-8.
        ("소통:ㅋ@", "Basic 7IaM7Ya1OuOFiw=="),
    ] {
        assert_eq!(told(&client, userinfo, "Authorization").await, [expected], "{userinfo}");
    }
    assert_eq!(told(&client, "", "Authorization").await, [""; 0]);
}

#[tokio::test]
async fn what_was_set_goes_before_the_url_and_the_last_that_was_set_counts() {
    let client = Client::new().with_basic_auth("Aladdin", "open sesame").expect("they may be sent");
    let basic = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    assert_eq!(told(&client, "", "Authorization").await, [basic]);
    assert_eq!(told(&client, "user:password@", "Authorization").await, [basic]);
    let client = client.with_bearer_token("t0ken").expect("a token");
    assert_eq!(told(&client, "user@", "Authorization").await, ["Bearer t0ken"]);
    let client = Client::new().with_header("authorization", "Own scheme").expect("a header");
    assert_eq!(told(&client, "user@", "Authorization").await, ["Own scheme"]);
    let client = client.with_bearer_token("t0ken").expect("a token");
    assert_eq!(told(&client, "", "Authorization").await, ["Bearer t0ken"]);
    let shown = format!("{client:?}");
    assert!(shown.contains("Authorization") && !shown.contains("t0ken"), "{shown}");
}

#[tokio::test]
async fn cookies_are_a_header() {
    let client = Client::new().with_header("Cookie", "a=1; b=2").expect("a header");
    assert_eq!(told(&client, "", "Cookie").await, ["a=1; b=2"]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_not() {
    let client = Client::new();
    assert_eq!(client.clone().with_basic_auth("a:b", "").err(), Some(CredentialsError::Colon));
    assert_eq!(client.clone().with_basic_auth("a", "b\n").err(), Some(CredentialsError::Control));
    assert_eq!(client.clone().with_bearer_token("t0ken\n").err(), Some(CredentialsError::Token));
    for (url, expected) in [
        ("ws://a%3Ahunter2:b@127.0.0.1:1/", CredentialsError::Colon),
        ("ws://a:hunter2%0D%0AX-Evil:%201@127.0.0.1:1/", CredentialsError::Control),
    ] {
        let error = soon(client.connect(url)).await.expect_err("nothing is sent");
        let ConnectError::Url(UrlError::Credentials(why)) = &error else { panic!("{error:?}") };
        assert_eq!(*why, expected);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
