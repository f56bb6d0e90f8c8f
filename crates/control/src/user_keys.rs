//! Where the keys of users live. They have a quota; what else the store holds is the system's, and has none.

use std::borrow::Cow;

/// Before the keys of the default namespace.
const DEFAULT: &str = "kv/";
/// Before the keys of all others; the namespace and a slash follow.
const NAMED: &str = "kvns/";

/// What the names of all keys of a namespace begin with, and those of no other. The default namespace is empty; names of others
/// have no slash, so that the first one after theirs ends it.
#[must_use]
pub fn user_prefix(namespace: &str) -> Cow<'static, str> {
    if namespace.is_empty() {
        Cow::Borrowed(DEFAULT)
    } else {
        Cow::Owned(format!("{NAMED}{namespace}/"))
    }
}

/// Whether a key is a user's, of any namespace.
pub(crate) fn is_users(key: &str) -> bool {
    key.starts_with(DEFAULT) || key.starts_with(NAMED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Namespaces and keys that try to look like each other.
    fn place() -> impl Strategy<Value = (String, String)> {
        let namespace = prop_oneof!["", "[a-c]{1,3}", "kv|kvns|k|ns|\\.|\\.\\.|é", "[^/\\*_]{1,5}"];
        let key = prop_oneof!["[a-c/]{1,6}", "(kv|kvns|ns|)/[a-c/]{1,4}", "\\PC{1,6}"];
        (namespace, key)
    }

    fn stored((namespace, key): &(String, String)) -> String {
        format!("{}{key}", user_prefix(namespace))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_two_places_are_one_key(one in place(), other in place()) {
            prop_assert_eq!(stored(&one) == stored(&other), one == other);
        }

        #[test]
        fn no_key_is_listed_in_another_namespace(one in place(), other in place()) {
            let listed = stored(&one).starts_with(&*user_prefix(&other.0));
            prop_assert_eq!(listed, one.0 == other.0);
            prop_assert!(is_users(&stored(&one)));
        }
    }

    #[test]
    fn keys_of_the_system_are_not_users() {
        for key in ["kv", "kvn/a", "jobs/records/1", "members/kv/", "kvns"] {
            assert!(!is_users(key), "{key}");
        }
    }
}
