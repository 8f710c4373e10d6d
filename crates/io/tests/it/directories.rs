//! The risk: entries that are missing or seen twice, and links that lead in circles.

use std::collections::BTreeSet;

use insula_io::{Depth, Directory, EntityType, File, IoService, Links, Listing};

use crate::isolated;

async fn names(mut listing: Listing) -> BTreeSet<(String, EntityType)> {
    let mut names = BTreeSet::new();
    let mut count = 0;
    while let Some(entry) = listing.next().await {
        let entry = entry.unwrap();
        let name = entry.path.file_name().unwrap().to_string_lossy();
        names.insert((name.into_owned(), entry.entity_type));
        count += 1;
    }
    assert_eq!(names.len(), count, "an entry twice");
    names
}

#[test]
fn folders_are_made_renamed_and_deleted() {
    isolated(async |folder| {
        let deep = folder.join("a").join("b").join("c");
        assert!(Directory::create(&deep).await.is_err());
        Directory::create_recursive(&deep).await.unwrap();
        Directory::create(&deep).await.unwrap();
        assert!(Directory::exists(&deep).await.unwrap());
        assert!(!File::exists(&deep).await.unwrap());
        let (from, to) = (folder.join("a"), folder.join("z"));
        Directory::rename(&from, &to).await.unwrap();
        assert!(!Directory::exists(&from).await.unwrap());
        assert!(Directory::delete(&to).await.is_err());
        Directory::delete_recursive(&to).await.unwrap();
        let first = Directory::create_temp_in(&folder, "t-").await.unwrap();
        let second = Directory::create_temp_in(&folder, "t-").await.unwrap();
        assert_ne!(first, second);
        assert!(Directory::exists(&second).await.unwrap());
    });
}

#[test]
fn a_large_folder_is_read_128_entries_at_a_time() {
    isolated(async |folder| {
        for n in 0..300 {
            std::fs::write(folder.join(format!("{n}")), []).unwrap();
        }
        assert_eq!(
            names(Directory::list(&folder).await.unwrap()).await.len(),
            300
        );
        let listing = Directory::list(&folder).await.unwrap();
        let mut sizes = Vec::new();
        loop {
            let batch = listing.next_batch().await.unwrap();
            sizes.push(batch.len());
            if batch.is_empty() {
                break;
            }
        }
        assert_eq!(sizes, [128, 128, 44, 0]);
        let mut listing = Directory::list(&folder).await.unwrap();
        listing.stop().await.unwrap();
        assert!(listing.next().await.is_none());
    });
}

#[cfg(unix)]
#[test]
fn a_circle_of_links_ends() {
    isolated(async |folder| {
        let inner = folder.join("inner");
        Directory::create(&inner).await.unwrap();
        File::create(inner.join("file")).await.unwrap();
        std::os::unix::fs::symlink(&folder, inner.join("back")).unwrap();
        std::os::unix::fs::symlink("nowhere", inner.join("broken")).unwrap();
        let plain = names(Directory::list_recursive(&folder).await.unwrap()).await;
        let service = IoService::global();
        let followed = Directory::list_by(service, folder.clone(), Depth::All, Links::Follow);
        let followed = names(followed.await.unwrap()).await;
        let expected = [
            ("back", EntityType::Link),
            ("broken", EntityType::Link),
            ("file", EntityType::File),
            ("inner", EntityType::Directory),
        ];
        let expected = expected.map(|(name, it)| (name.to_owned(), it));
        assert_eq!(plain, BTreeSet::from(expected.clone()));
        assert_eq!(followed, BTreeSet::from(expected));
    });
}
