//! S3 settings out of environment variables. Pure: the variables come through a closure.

use crate::{ObjectSettings, S3Settings, Secret, StoreSettings};

/// Our own variables win over Amazon's.
const ENDPOINT: [&str; 3] = ["MILLRACE_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
const REGION: [&str; 3] = ["MILLRACE_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"];
/// Id, secret and token are one set: never an id of one family with the secret of the other.
const CREDENTIALS: [[&str; 3]; 2] = [
    ["MILLRACE_S3_ACCESS_KEY_ID", "MILLRACE_S3_SECRET_ACCESS_KEY", "MILLRACE_S3_SESSION_TOKEN"],
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
];

impl S3Settings {
    /// Fills what is not set: endpoint, region, credentials (as a set). An empty variable counts as
    /// absent.
    pub fn fill_from_environment(&mut self, lookup: &dyn Fn(&str) -> Option<String>) {
        let first = |names: &[&str]| names.iter().find_map(|name| lookup(name).filter(|value| !value.is_empty()));
        if self.endpoint.is_none() {
            self.endpoint = first(&ENDPOINT);
        }
        if self.region.is_none() {
            self.region = first(&REGION);
        }
        if self.access_key_id.is_some() || self.secret_access_key.is_some() {
            return;
        }
        let given = CREDENTIALS.iter().find(|[id, secret, _]| first(&[id]).is_some() || first(&[secret]).is_some());
        if let Some([id, secret, token]) = given {
            // Kept as references: looked up again when the store refuses them, and shown by name.
            let refer = |name: &str| first(&[name]).map(|_| Secret::Env { env: name.to_owned() });
            self.access_key_id = refer(id);
            self.secret_access_key = refer(secret);
            self.session_token = refer(token);
        }
    }
}

impl ObjectSettings {
    /// Fills every S3 store. Where `MILLRACE_S3_ENDPOINT` is set, a local default becomes S3 (as with
    /// the flag); Amazon's variables alone never move a bucket.
    pub fn fill_from_environment(&mut self, lookup: &dyn Fn(&str) -> Option<String>) {
        if matches!(self.default, StoreSettings::Local(_))
            && let Some(endpoint) = lookup("MILLRACE_S3_ENDPOINT").filter(|value| !value.is_empty())
        {
            self.use_s3_endpoint(&endpoint);
        }
        for store in std::iter::once(&mut self.default).chain(self.buckets.values_mut()) {
            if let StoreSettings::S3(s3) = store {
                s3.fill_from_environment(lookup);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mut s3: S3Settings, variables: &[(&str, &str)]) -> S3Settings {
        s3.fill_from_environment(&|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        });
        s3
    }

    fn env(name: &str) -> Option<Secret> {
        Some(Secret::Env { env: name.to_owned() })
    }

    #[test]
    fn ours_win_over_amazons() {
        let s3 = filled(
            S3Settings::default(),
            &[
                ("AWS_ENDPOINT_URL", "http://c"),
                ("AWS_ENDPOINT_URL_S3", "http://b"),
                ("MILLRACE_S3_ENDPOINT", "http://a"),
                ("AWS_DEFAULT_REGION", "r3"),
                ("AWS_REGION", "r2"),
                ("AWS_ACCESS_KEY_ID", "theirs"),
                ("AWS_SECRET_ACCESS_KEY", "theirs"),
                ("AWS_SESSION_TOKEN", "theirs"),
                ("MILLRACE_S3_ACCESS_KEY_ID", "ours"),
                ("MILLRACE_S3_SECRET_ACCESS_KEY", "ours"),
            ],
        );
        assert_eq!(s3.endpoint.as_deref(), Some("http://a"));
        assert_eq!(s3.region.as_deref(), Some("r2"));
        assert_eq!(s3.access_key_id, env("MILLRACE_S3_ACCESS_KEY_ID"));
        assert_eq!(s3.secret_access_key, env("MILLRACE_S3_SECRET_ACCESS_KEY"));
        assert_eq!(s3.session_token, None, "the token belongs to the other set");
    }

    #[test]
    fn amazons_fill_what_is_missing_and_settings_stay() {
        let given = S3Settings {
            region: Some("mine".to_owned()),
            access_key_id: Some(Secret::Inline("id".to_owned())),
            ..S3Settings::default()
        };
        let variables = [
            ("AWS_ENDPOINT_URL_S3", ""),
            ("AWS_ENDPOINT_URL", "http://c"),
            ("AWS_DEFAULT_REGION", "r3"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_SESSION_TOKEN", "x"),
        ];
        let s3 = filled(given.clone(), &variables);
        assert_eq!(s3, S3Settings { endpoint: Some("http://c".to_owned()), ..given });
        let s3 = filled(S3Settings::default(), &variables);
        assert_eq!(s3.region.as_deref(), Some("r3"));
        assert_eq!(s3.session_token, env("AWS_SESSION_TOKEN"));
    }

    #[test]
    fn only_our_endpoint_moves_the_default() {
        let mut settings = ObjectSettings::default();
        settings.fill_from_environment(&|name| (name == "AWS_ENDPOINT_URL").then(|| "http://c".to_owned()));
        assert_eq!(settings, ObjectSettings::default());
        settings.fill_from_environment(&|name| (name == "MILLRACE_S3_ENDPOINT").then(|| "http://a".to_owned()));
        let StoreSettings::S3(s3) = &settings.default else { panic!("now S3") };
        assert_eq!(s3.endpoint.as_deref(), Some("http://a"));
        settings.use_s3_endpoint("http://flag");
        let StoreSettings::S3(s3) = &settings.default else { panic!("still S3") };
        assert_eq!(s3.endpoint.as_deref(), Some("http://flag"), "the flag wins");
    }
}
