//! The certificate that a server shows, and how it is replaced while the server runs.
//!
//! Connections keep what they were opened with; only new handshakes see the new one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::error::TlsError;
use super::pem::{self, Dates, Pem};

/// The pair in use, and where it is from.
#[derive(Debug)]
pub(super) struct Certificates {
    current: RwLock<Arc<CertifiedKey>>,
    files: Option<Files>,
}

#[derive(Debug)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
    dates: Dates,
    watch: Mutex<Watch>,
}

/// What is known about the files.
#[derive(Debug)]
struct Watch {
    /// As they were when they were last loaded, well or not.
    loaded: State,
    /// As they were at the last look.
    seen: State,
    /// Whether it was said that the pair in use has expired.
    has_warned: bool,
}

/// What changes when files are written anew, or others take their place: time, length and number of each. `None` for
/// one that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State([Option<(SystemTime, u64, u64)>; 2]);

impl Certificates {
    pub(super) fn given(pair: Arc<CertifiedKey>) -> Certificates {
        Certificates { current: RwLock::new(pair), files: None }
    }

    pub(super) fn from_files(chain: &Path, key: &Path, dates: Dates) -> Result<Certificates, TlsError> {
        // Looked at first: what is written while we read is a change.
        let state = State::of(chain, key);
        let pair = pem::certified_key(&Pem::read(chain)?, &Pem::read(key)?, dates)?;
        let watch = Watch { loaded: state, seen: state, has_warned: false };
        let files = Files { chain: chain.to_owned(), key: key.to_owned(), dates, watch: Mutex::new(watch) };
        Ok(Certificates { current: RwLock::new(pair), files: Some(files) })
    }

    pub(super) fn has_files(&self) -> bool {
        self.files.is_some()
    }

    /// Loads the files now. If anything is wrong with them, the old pair stays.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let Some(files) = &self.files else { return Ok(()) };
        let mut watch = files.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.seen = State::of(&files.chain, &files.key);
        self.load(files, &mut watch)
    }

    fn load(&self, files: &Files, watch: &mut Watch) -> Result<(), TlsError> {
        watch.loaded = watch.seen;
        let pair = pem::certified_key(&Pem::read(&files.chain)?, &Pem::read(&files.key)?, files.dates)?;
        watch.has_warned = false;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(())
    }

    /// Loads the files if they have changed and are at rest: two looks in a row must see the same, so that a chain is
    /// not taken before its key is written. Each change is told once, whether it is good or not.
    pub(super) fn look(&self) {
        let Some(files) = &self.files else { return };
        let mut watch = files.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let now = State::of(&files.chain, &files.key);
        let is_at_rest = std::mem::replace(&mut watch.seen, now) == now;
        if is_at_rest && now != watch.loaded {
            match self.load(files, &mut watch) {
                Ok(()) => tracing::info!(file = %files.chain.display(), "the new certificate is in use"),
                Err(error) => {
                    tracing::error!("the new certificate is not used, the old one stays: {error}");
                }
            }
        }
        if files.dates == Dates::Checked
            && !watch.has_warned
            && let Err(error) = pem::check_dates(&self.current(), Some(files.chain.clone()))
        {
            watch.has_warned = true;
            tracing::error!("clients refuse us from now on: {error}");
        }
    }

    /// The first certificate in use.
    pub(super) fn pem(&self) -> String {
        let current = self.current();
        pem::encode(current.cert.first().map_or(&[][..], AsRef::as_ref))
    }

    fn current(&self) -> Arc<CertifiedKey> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl State {
    fn of(chain: &Path, key: &Path) -> State {
        State([chain, key].map(|file| {
            let found = fs::metadata(file).ok()?;
            #[cfg(unix)]
            let number = std::os::unix::fs::MetadataExt::ino(&found);
            #[cfg(not(unix))]
            let number = 0;
            Some((found.modified().ok()?, found.len(), number))
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]
mod tests {
    use super::*;

    /// A certificate may run out while the server does. It is said once, and again of the next one.
    #[test]
    fn a_certificate_that_runs_out_is_told_once() {
        let folder = std::env::temp_dir().join(format!("sotong-certificates-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (chain, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let write = |year| {
            let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let private = rcgen::KeyPair::generate().unwrap();
            fs::write(&chain, params.self_signed(&private).unwrap().pem()).unwrap();
            fs::write(&key, private.serialize_pem()).unwrap();
        };
        write(2020);
        let mut certificates = Certificates::from_files(&chain, &key, Dates::Ignored).unwrap();
        // It was valid when it was loaded, that is to say.
        certificates.files.as_mut().unwrap().dates = Dates::Checked;
        let has_warned = |certificates: &Certificates| {
            certificates.files.as_ref().unwrap().watch.lock().unwrap().has_warned
        };
        assert!(!has_warned(&certificates));
        certificates.look();
        assert!(has_warned(&certificates));
        certificates.look();
        assert!(has_warned(&certificates));
        write(2099);
        certificates.reload().unwrap();
        certificates.look();
        assert!(!has_warned(&certificates));
        fs::remove_dir_all(&folder).unwrap();
    }

    /// A certificate is not taken before its key has been written.
    #[test]
    fn files_that_still_change_are_not_loaded() {
        let folder = std::env::temp_dir().join(format!("sotong-certificates-rest-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (chain, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let pair = || {
            let private = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
            (params.self_signed(&private).unwrap().pem(), private.serialize_pem())
        };
        let (first, first_key) = pair();
        fs::write(&chain, &first).unwrap();
        fs::write(&key, first_key).unwrap();
        let certificates = Certificates::from_files(&chain, &key, Dates::Checked).unwrap();
        let loaded =
            |certificates: &Certificates| certificates.files.as_ref().unwrap().watch.lock().unwrap().loaded;
        let at_first = loaded(&certificates);
        let (second, second_key) = pair();
        // By another name first, so that it is another file however coarse the clock is.
        fs::write(folder.join("next"), &second).unwrap();
        fs::rename(folder.join("next"), &chain).unwrap();
        certificates.look();
        assert_eq!(loaded(&certificates), at_first, "it has only just changed");
        fs::write(folder.join("next"), second_key).unwrap();
        fs::rename(folder.join("next"), &key).unwrap();
        certificates.look();
        assert_eq!(loaded(&certificates), at_first, "it has changed again");
        assert_eq!(certificates.pem(), first.replace('\r', ""));
        certificates.look();
        assert_eq!(certificates.pem(), second.replace('\r', ""));
        fs::remove_dir_all(&folder).unwrap();
    }
}
