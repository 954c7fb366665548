//! JPEG XL's boxes of metadata.

use std::io::Cursor;

use super::Found;

pub(super) fn find(bytes: &[u8]) -> Found {
    let mut found = Found::default();
    let Ok(image) = jxl_oxide::JxlImage::builder().read(Cursor::new(bytes)) else {
        return found;
    };
    let boxes = image.aux_boxes();
    if let Ok(jxl_oxide::AuxBoxData::Data(exif)) = boxes.first_exif() {
        found.exif = Some(exif.payload().to_vec());
    }
    if let jxl_oxide::AuxBoxData::Data(xmp) = boxes.first_xml() {
        found.xmp = Some(xmp.to_vec());
    }
    found
}
