//! Bodies of `/coins/markets` that the tests make: rows whose fields are kept as raw JSON, so that any token can stand in them.
//! What the product makes of them is not known here.

/// A row as names and raw JSON tokens, or, where it is no object, one token.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    Fields(Vec<(String, String)>),
    Token(String),
}

impl Row {
    /// A row with nothing out of the ordinary.
    pub fn plain(id: &str) -> Self {
        let fields = [
            ("id", quoted(id)),
            ("symbol", quoted(&id.chars().take(4).collect::<String>())),
            ("name", quoted(&id.to_uppercase())),
            ("current_price", "12.5".to_owned()),
            ("market_cap", "5000000000".to_owned()),
            ("market_cap_rank", "7".to_owned()),
            ("total_volume", "250000000".to_owned()),
            ("high_24h", "13".to_owned()),
            ("low_24h", "12".to_owned()),
            ("price_change_percentage_24h", "-2.5".to_owned()),
            ("ath", "25".to_owned()),
            ("last_updated", quoted("2026-01-14T12:09:00.123Z")),
        ];
        let own = |(name, token): (&str, String)| (name.to_owned(), token);
        Self::Fields(fields.into_iter().map(own).collect())
    }

    /// The row with this token in a field.
    #[must_use]
    pub fn with(mut self, name: &str, token: impl Into<String>) -> Self {
        if let Self::Fields(fields) = &mut self {
            match fields.iter_mut().find(|(own, _)| own == name) {
                Some((_, old)) => *old = token.into(),
                None => fields.push((name.to_owned(), token.into())),
            }
        }
        self
    }

    /// The row without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        if let Self::Fields(fields) = &mut self {
            fields.retain(|(own, _)| own != name);
        }
        self
    }

    /// The raw token of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        match self {
            Self::Fields(fields) => fields
                .iter()
                .find(|(own, _)| own == name)
                .map(|(_, token)| token.as_str()),
            Self::Token(_) => None,
        }
    }

    /// The row as JSON.
    pub fn text(&self) -> String {
        match self {
            Self::Token(token) => token.clone(),
            Self::Fields(fields) => {
                let part = |(name, token): &(String, String)| format!("{}:{token}", quoted(name));
                format!(
                    "{{{}}}",
                    fields.iter().map(part).collect::<Vec<_>>().join(",")
                )
            }
        }
    }
}

/// Rows as a body.
pub fn body(rows: &[Row]) -> String {
    format!(
        "[{}]",
        rows.iter().map(Row::text).collect::<Vec<_>>().join(",")
    )
}

/// A text as a JSON token.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
