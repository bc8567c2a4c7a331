//! Images are small: `scripts/sizes` prints the table.

mod table;

#[test]
fn images_stay_below_their_limits() {
    for row in table::rows() {
        let program = row.bytes - row.content;
        assert!(program <= row.limit, "{} has {program} bytes, {} are allowed", row.app.name(), row.limit);
        let segments: u64 = row.segments.iter().map(|segment| segment.file_bytes).sum();
        assert!(segments <= row.bytes && segments + 4096 >= row.bytes, "{}: {row:?}", row.app.name());
    }
}
