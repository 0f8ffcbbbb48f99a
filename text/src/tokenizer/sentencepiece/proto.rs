//! The file format: a protocol-buffer message, `sentencepiece_model.proto` of the sentencepiece project.

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub text: String,
    pub score: f32,
    pub kind: Kind,
}

/// How a text is cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Unigram,
    Bpe,
    Word,
    Char,
}

/// Bytes of the longest piece that is read: every place of a text is compared with it.
const LONGEST: usize = 1024;

/// What of a model matters for using it.
#[derive(Clone, Debug)]
pub(super) struct ModelProto {
    pub pieces: Vec<Piece>,
    pub algorithm: Algorithm,
    pub byte_fallback: bool,
    pub unk_piece: String,
    pub bos_piece: String,
    pub eos_piece: String,
    pub pad_piece: String,
    /// Compiled replacement rules.
    pub charsmap: Vec<u8>,
    pub add_dummy_prefix: bool,
    pub remove_extra_whitespaces: bool,
    pub escape_whitespaces: bool,
    whitespace_as_suffix: bool,
    denormalizes: bool,
}

/// What is wrong with a file, with the place in it.
type Result<T> = std::result::Result<T, String>;

impl ModelProto {
    pub fn parse(bytes: &[u8]) -> Result<ModelProto> {
        let mut model = ModelProto {
            pieces: Vec::new(),
            algorithm: Algorithm::Unigram,
            byte_fallback: false,
            unk_piece: "<unk>".to_owned(),
            bos_piece: "<s>".to_owned(),
            eos_piece: "</s>".to_owned(),
            pad_piece: "<pad>".to_owned(),
            charsmap: Vec::new(),
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
            whitespace_as_suffix: false,
            denormalizes: false,
        };
        let mut message = Message::new(bytes, 0);
        while let Some((field, value)) = message.next()? {
            match field {
                1 => model.pieces.push(piece(value.message()?)?),
                2 => model.trainer(value.message()?)?,
                3 => model.normalizer(value.message()?)?,
                5 => model.denormalizer(value.message()?)?,
                _ => {}
            }
        }
        Ok(model)
    }

    fn trainer(&mut self, mut message: Message) -> Result<()> {
        while let Some((field, value)) = message.next()? {
            match field {
                3 => {
                    self.algorithm = match value.number()? {
                        1 => Algorithm::Unigram,
                        2 => Algorithm::Bpe,
                        3 => Algorithm::Word,
                        4 => Algorithm::Char,
                        other => return Err(format!("byte {}: unknown model type {other}", value.at)),
                    }
                }
                24 => self.whitespace_as_suffix = value.number()? != 0,
                35 => self.byte_fallback = value.number()? != 0,
                45 => self.unk_piece = value.text()?,
                46 => self.bos_piece = value.text()?,
                47 => self.eos_piece = value.text()?,
                48 => self.pad_piece = value.text()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn normalizer(&mut self, mut message: Message) -> Result<()> {
        while let Some((field, value)) = message.next()? {
            match field {
                2 => self.charsmap = value.bytes()?.to_vec(),
                3 => self.add_dummy_prefix = value.number()? != 0,
                4 => self.remove_extra_whitespaces = value.number()? != 0,
                5 => self.escape_whitespaces = value.number()? != 0,
                _ => {}
            }
        }
        Ok(())
    }

    fn denormalizer(&mut self, mut message: Message) -> Result<()> {
        while let Some((field, value)) = message.next()? {
            self.denormalizes |= field == 2 && !value.bytes()?.is_empty();
        }
        Ok(())
    }

    /// Refuses what is not supported or does not fit together.
    pub fn check(&self) -> Result<()> {
        if self.pieces.is_empty() {
            return Err("it has no pieces".to_owned());
        }
        if let Algorithm::Word | Algorithm::Char = self.algorithm {
            return Err(format!("its type is {:?}; Unigram and Bpe can be used", self.algorithm));
        }
        if self.whitespace_as_suffix {
            return Err(
                "it puts blanks behind words (treat_whitespace_as_suffix), which is not supported".into()
            );
        }
        if self.denormalizes {
            return Err("it has rules for decoding (denormalizer_spec), which are not supported".into());
        }
        for piece in &self.pieces {
            let shown: String = piece.text.chars().take(60).collect();
            if piece.score.is_nan() {
                return Err(format!("the score of the piece \"{shown}\" is not a number"));
            }
            if piece.text.len() > LONGEST {
                let length = piece.text.len();
                return Err(format!("the piece \"{shown}…\" has {length} bytes; at most {LONGEST} are read"));
            }
        }
        let unknown = self.pieces.iter().filter(|piece| piece.kind == Kind::Unknown).count();
        if unknown != 1 {
            return Err(format!("it has {unknown} unknown pieces instead of one"));
        }
        let bytes = self.pieces.iter().filter(|piece| piece.kind == Kind::Byte).count();
        if self.byte_fallback && bytes != 256 {
            return Err(format!("it spells unknown text in bytes, but has pieces for {bytes} of the 256"));
        }
        Ok(())
    }
}

fn piece(mut message: Message) -> Result<Piece> {
    let at = message.start;
    let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
    while let Some((field, value)) = message.next()? {
        match field {
            1 => piece.text = value.text()?,
            2 => piece.score = value.float()?,
            3 => {
                piece.kind = match value.number()? {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    other => return Err(format!("byte {}: unknown piece type {other}", value.at)),
                }
            }
            _ => {}
        }
    }
    if piece.text.is_empty() { Err(format!("byte {at}: a piece without text")) } else { Ok(piece) }
}

/// The fields of a message, one after the other.
struct Message<'a> {
    bytes: &'a [u8],
    /// Where the message starts in the file.
    start: usize,
    at: usize,
}

/// A field's value and its place in the file.
struct Field<'a> {
    at: usize,
    value: Wire<'a>,
}

enum Wire<'a> {
    Number(u64),
    Four([u8; 4]),
    Eight,
    Bytes(&'a [u8]),
}

impl<'a> Message<'a> {
    fn new(bytes: &'a [u8], start: usize) -> Self {
        Message { bytes, start, at: 0 }
    }

    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let at = self.start + self.at;
        let value = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => self.take(8).map(|_| Wire::Eight)?,
            2 => {
                let length = self.varint()?;
                let length =
                    usize::try_from(length).map_err(|_| format!("byte {at}: a length of {length}"))?;
                Wire::Bytes(self.take(length)?)
            }
            5 => {
                let mut four = [0; 4];
                four.copy_from_slice(self.take(4)?);
                Wire::Four(four)
            }
            other => return Err(format!("byte {at}: a field of the unknown wire type {other}")),
        };
        let at = if let Wire::Bytes(bytes) = value { self.start + self.at - bytes.len() } else { at };
        Ok(Some((tag >> 3, Field { at, value })))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if length > rest.len() {
            return Err(format!(
                "byte {}: a field of {length} bytes, but only {} are left; is the file whole?",
                self.start + self.at,
                rest.len()
            ));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// Seven bits a byte, lowest first; the top bit says that more follow.
    fn varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(format!("byte {}: a number without an end", self.start + self.at))
    }
}

impl<'a> Field<'a> {
    fn wrong<T>(&self, wanted: &str) -> Result<T> {
        Err(format!("byte {}: a field that should be {wanted} is not", self.at))
    }

    fn number(&self) -> Result<u64> {
        if let Wire::Number(number) = self.value { Ok(number) } else { self.wrong("a number") }
    }

    fn float(&self) -> Result<f32> {
        if let Wire::Four(bytes) = self.value { Ok(f32::from_le_bytes(bytes)) } else { self.wrong("a float") }
    }

    fn bytes(&self) -> Result<&'a [u8]> {
        if let Wire::Bytes(bytes) = self.value { Ok(bytes) } else { self.wrong("a text") }
    }

    fn text(&self) -> Result<String> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(str::to_owned).map_err(|_| format!("byte {}: a text that is not UTF-8", self.at))
    }

    fn message(&self) -> Result<Message<'a>> {
        Ok(Message::new(self.bytes()?, self.at))
    }
}
