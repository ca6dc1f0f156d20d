//! What the libraries' messages have in common.

/// What is to be done with a message.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Text,
    Binary,
    /// Control frames, which the libraries answer themselves.
    Other,
}

impl Kind {
    fn of(is_text: bool, is_binary: bool) -> Kind {
        match (is_text, is_binary) {
            (true, _) => Kind::Text,
            (_, true) => Kind::Binary,
            _ => Kind::Other,
        }
    }
}

pub(crate) trait Message {
    fn kind(&self) -> Kind;
    fn from_text(text: &'static str) -> Self;
}

impl Message for tokio_tungstenite::tungstenite::Message {
    fn kind(&self) -> Kind {
        Kind::of(self.is_text(), self.is_binary())
    }

    fn from_text(text: &'static str) -> Self {
        Self::Text(tokio_tungstenite::tungstenite::Utf8Bytes::from_static(text))
    }
}

impl Message for tokio_websockets::Message {
    fn kind(&self) -> Kind {
        Kind::of(self.is_text(), self.is_binary())
    }

    fn from_text(text: &'static str) -> Self {
        Self::text(text)
    }
}

impl Message for sockudo_ws::Message {
    fn kind(&self) -> Kind {
        Kind::of(self.is_text(), self.is_binary())
    }

    fn from_text(text: &'static str) -> Self {
        Self::Text(bytes::Bytes::from_static(text.as_bytes()))
    }
}

impl Message for yawc::Frame {
    fn kind(&self) -> Kind {
        use yawc::frame::OpCode;
        Kind::of(self.opcode() == OpCode::Text, self.opcode() == OpCode::Binary)
    }

    fn from_text(text: &'static str) -> Self {
        Self::text(bytes::Bytes::from_static(text.as_bytes()))
    }
}
