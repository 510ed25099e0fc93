//! Ids of stored things: UUIDv7, one newtype per kind, so that none is taken for another.

/// Makes a UUIDv7 newtype with `new`, `Display`, `FromStr` and access to the raw UUID.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// A fresh id; later ones sort after earlier ones.
            #[expect(clippy::new_without_default, reason = "two defaults would not be equal")]
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7())
            }

            /// The id with this UUID, as read from a store or an address.
            pub const fn from_uuid(uuid: uuid::Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID behind the id.
            pub const fn uuid(self) -> uuid::Uuid {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// One issue: all occurrences of a fingerprint in a service.
    IssueId
);
id!(
    /// One durable step in the queue.
    JobId
);
id!(
    /// One alias: a fingerprint whose occurrences count for the issue of another.
    AliasId
);
id!(
    /// The right to run a job: changes with every lease, so that a stale holder cannot complete.
    LeaseToken
);
id!(
    /// One try of the agent.
    AttemptId
);
id!(
    /// One proposal.
    ProposalId
);
id!(
    /// One ticket.
    TicketId
);
id!(
    /// One record that is kept, while lines that belong around it may still come.
    SampleId
);
id!(
    /// One reservation of money.
    ReservationId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_age_and_read_back() {
        let (first, second) = (IssueId::new(), IssueId::new());
        assert!(first < second);
        assert_eq!(first.to_string().parse::<IssueId>().unwrap(), first);
        assert!("not an id".parse::<IssueId>().is_err());
    }
}
