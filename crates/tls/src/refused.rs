//! Whether a call failed because the other side did not take this one's certificate.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, Error as TlsError};

/// Whether the other side ended the handshake over this one's certificate: nothing that was sent after it was looked at. With TLS 1.3 a
/// client learns this only when it waits for its answer.
#[must_use]
pub fn was_refused(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |cause: &&(dyn StdError + 'static)| (*cause).source()).any(|cause| {
        // An I/O error hides what it was made of from those who ask for its source.
        let inside = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = inside
            .and_then(|inner| inner.downcast_ref())
            .or_else(|| cause.downcast_ref::<TlsError>());
        matches!(tls, Some(TlsError::AlertReceived(alert)) if is_about_certificates(*alert))
    })
}

const fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            // An authority of the right name with another key: of handshakes alone, too (RFC 8446, 6.2).
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied
    )
}
