//! The risk: an operation that follows a link, or replaces something, that it should not.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use insula_io::{
    Directory, EntityType, Family, File, IoError, Link, Loopback, entity_type, identical,
    interfaces, link_entity_type, link_stat, lookup, reverse_lookup, stat,
};

use crate::isolated;

#[test]
fn files_are_created_copied_renamed_and_deleted() {
    isolated(async |folder| {
        let (one, two) = (folder.join("one"), folder.join("two"));
        assert!(!File::exists(&one).await.unwrap());
        File::create(&one).await.unwrap();
        File::create(&one).await.unwrap();
        let error = File::create_new(&one).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        File::write_whole(&one, b"content".to_vec()).await.unwrap();
        assert_eq!(File::length_of(&one).await.unwrap(), 7);
        assert_eq!(File::copy(&one, &two).await.unwrap(), 7);
        File::delete(&one).await.unwrap();
        File::rename(&two, &one).await.unwrap();
        assert!(!File::exists(&two).await.unwrap());
        assert_eq!(File::read_all(&one).await.unwrap(), b"content");
        let error = File::rename(&folder, &two).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
        let error = Directory::rename(&one, &two).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory);
        let error = File::delete(&folder).await.unwrap_err();
        assert!(matches!(error, IoError::Os(_)));
    });
}

#[test]
fn times_are_kept() {
    isolated(async |folder| {
        let path = folder.join("times");
        File::create(&path).await.unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        File::set_last_modified(&path, then).await.unwrap();
        let later = then + Duration::from_secs(60);
        File::set_last_accessed(&path, later).await.unwrap();
        assert_eq!(File::last_modified(&path).await.unwrap(), then);
        assert_eq!(File::last_accessed(&path).await.unwrap(), later);
        let metadata = stat(&path).await.unwrap();
        assert_eq!(metadata.modified, Some(then));
        assert!(metadata.changed.unwrap() > later);
    });
}

#[cfg(unix)]
#[test]
fn a_link_is_not_what_it_leads_to() {
    isolated(async |folder| {
        let (file, link) = (folder.join("file"), folder.join("link"));
        File::write_whole(&file, vec![1, 2, 3]).await.unwrap();
        Link::create(&link, "file").await.unwrap();
        assert_eq!(Link::target(&link).await.unwrap().to_str(), Some("file"));
        assert_eq!(stat(&link).await.unwrap().length, 3);
        let itself = link_stat(&link).await.unwrap();
        assert_eq!(itself.entity_type, EntityType::Link);
        assert_eq!(entity_type(&link).await.unwrap(), EntityType::File);
        assert_eq!(link_entity_type(&link).await.unwrap(), EntityType::Link);
        let nothing = entity_type(folder.join("nothing")).await.unwrap();
        assert_eq!(nothing, EntityType::NotFound);
        assert!(!identical(&file, &link).await.unwrap());
        assert!(
            identical(&file, folder.join(".").join("file"))
                .await
                .unwrap()
        );
        let resolved = File::resolve_links(&link).await.unwrap();
        assert_eq!(resolved, std::fs::canonicalize(&file).unwrap());
        let error = Link::delete(&file).await.unwrap_err();
        assert!(matches!(error, IoError::Argument(_)));
        let moved = folder.join("moved");
        Link::rename(&link, &moved).await.unwrap();
        Link::delete(&moved).await.unwrap();
        assert!(File::exists(&file).await.unwrap());
    });
}

#[test]
fn this_machine_has_names_and_addresses() {
    isolated(async |_| {
        let found = lookup("localhost", Family::V4).await.unwrap();
        assert!(found.iter().all(|it| it.is_loopback()) && !found.is_empty());
        let literal = lookup("::1", Family::Any).await.unwrap();
        assert_eq!(literal.len(), 1);
        let error = lookup("no such host!", Family::Any).await.unwrap_err();
        assert!(error.code().is_some(), "{error}");
        let all = interfaces(Loopback::Include, Family::Any).await.unwrap();
        let mut addresses = all.iter().flat_map(|it| &it.addresses);
        assert!(addresses.any(|address| address.is_loopback()));
        let outward = interfaces(Loopback::Exclude, Family::Any).await.unwrap();
        let mut addresses = outward.iter().flat_map(|it| &it.addresses);
        assert!(!addresses.any(|address| address.is_loopback()));
        // Whether addresses have names depends on the machine: the call has an end.
        let _ = reverse_lookup(found[0]).await;
    });
}
