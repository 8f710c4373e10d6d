//! The risk: a number that is not the Dart VM's.

use insula_io::{IoOp, Operation, request};

#[test]
fn there_are_44_operations_by_number() {
    for (number, op) in IoOp::ALL.iter().enumerate() {
        assert_eq!(usize::from(op.number()), number);
        assert_eq!(IoOp::from_number(op.number()), Some(*op));
    }
    assert_eq!(IoOp::from_number(44), None);
}

#[test]
fn the_numbers_are_those_of_the_dart_vm() {
    let expected = [
        (IoOp::FileExists, 0),
        (IoOp::FileOpen, 5),
        (IoOp::FileLastAccessed, 13),
        (IoOp::FileFlush, 17),
        (IoOp::FileWriteFrom, 22),
        (IoOp::FileStat, 29),
        (IoOp::FileCreatePipe, 31),
        (IoOp::SocketLookup, 32),
        (IoOp::SocketReverseLookup, 34),
        (IoOp::DirectoryCreate, 35),
        (IoOp::DirectoryListNext, 40),
        (IoOp::DirectoryRename, 42),
        (IoOp::TlsProcessFilter, 43),
    ];
    for (op, number) in expected {
        assert_eq!(op.number(), number, "{op}");
    }
    assert_eq!(request::FileCopy::OP, IoOp::FileCopy);
    assert_eq!(request::DirectoryListNext::OP, IoOp::DirectoryListNext);
}
