//! XMP: an XML packet, of which what an enlargement changes is changed, and everything else stays.
//!
//! Follows ISO 16684-1 (XMP, part 1): properties are attributes or children of the `rdf:Description`
//! elements in `rdf:RDF`.

use quick_xml::NsReader;
use quick_xml::Writer;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use quick_xml::name::ResolveResult;

/// What is written for an enlargement's `Iptc4xmpExt:DigitalSourceType` (IPTC Photo Metadata 2023).
const ENHANCED: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced";

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const TIFF: &str = "http://ns.adobe.com/tiff/1.0/";
const EXIF: &str = "http://ns.adobe.com/exif/1.0/";
const XMP: &str = "http://ns.adobe.com/xap/1.0/";
const NOTE: &str = "http://ns.adobe.com/xmp/note/";
const IPTC_EXTENSION: &str = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/";
/// A second picture in the file that brightens this one; it is not written again.
const GAIN_MAP: &str = "http://ns.adobe.com/hdr-gain-map/1.0/";
const CONTAINER: &str = "http://ns.google.com/photos/1.0/container/";
const OURS: &str = "urn:minkds:xmp:1.0#";
const SETTINGS: &str = "settings";

/// More is not looked at.
const MAX_BYTES: usize = 16 << 20;

/// What happens to a property.
enum Fate {
    Stays,
    Goes,
    Becomes(String),
}

/// What has changed since the packet was written.
#[derive(Clone, Copy)]
pub(in super::super) struct Changes<'a> {
    pub width: usize,
    pub height: usize,
    pub provenance: Option<&'a str>,
}

impl Changes<'_> {
    fn fate(self, namespace: &str, name: &str) -> Fate {
        match (namespace, name) {
            (TIFF, "Orientation") => Fate::Becomes("1".into()),
            (TIFF, "ImageWidth") | (EXIF, "PixelXDimension") => {
                Fate::Becomes(self.width.to_string())
            }
            (TIFF, "ImageLength") | (EXIF, "PixelYDimension") => {
                Fate::Becomes(self.height.to_string())
            }
            (XMP, "Thumbnails") | (NOTE, "HasExtendedXMP") => Fate::Goes,
            (GAIN_MAP | CONTAINER | OURS, _) => Fate::Goes,
            (IPTC_EXTENSION, "DigitalSourceType") if self.provenance.is_some() => Fate::Goes,
            _ => Fate::Stays,
        }
    }

    /// The packet with these changes; `None` if it is no XMP.
    pub fn applied(self, packet: &str) -> Option<String> {
        let mut reader = NsReader::from_str(packet);
        let mut writer = Writer::new(Vec::with_capacity(packet.len() + 1024));
        let mut depth = 0;
        // Where `rdf:RDF` was opened.
        let mut rdf = None;
        let mut done = false;
        let mut about = String::new();
        loop {
            let event = reader.read_event().ok()?;
            let is_description = rdf == Some(depth);
            match event {
                Event::Start(element) => {
                    let (namespace, name) = resolved(&reader, &element)?;
                    if rdf.is_some_and(|rdf| depth == rdf + 1) {
                        match self.fate(&namespace, &name) {
                            Fate::Stays => {}
                            Fate::Goes => {
                                reader.read_to_end(element.name()).ok()?;
                                continue;
                            }
                            Fate::Becomes(value) => {
                                let end = element.to_end().into_owned();
                                reader.read_to_end(element.name()).ok()?;
                                writer.write_event(Event::Start(element.borrow())).ok()?;
                                let text = Event::Text(BytesText::new(&value));
                                writer.write_event(text).ok()?;
                                writer.write_event(Event::End(end)).ok()?;
                                continue;
                            }
                        }
                    }
                    if namespace == RDF && name == "RDF" && rdf.is_none() && !done {
                        rdf = Some(depth + 1);
                    }
                    depth += 1;
                    let element = match is_description {
                        true => self.description(&reader, &element, &mut about)?,
                        false => element,
                    };
                    writer.write_event(Event::Start(element)).ok()?;
                }
                Event::Empty(element) => {
                    let (namespace, name) = resolved(&reader, &element)?;
                    let is_property = rdf.is_some_and(|rdf| depth == rdf + 1);
                    if is_property && !matches!(self.fate(&namespace, &name), Fate::Stays) {
                        continue;
                    }
                    let element = match is_description {
                        true => self.description(&reader, &element, &mut about)?,
                        false => element,
                    };
                    writer.write_event(Event::Empty(element)).ok()?;
                }
                Event::End(element) => {
                    if rdf == Some(depth) {
                        self.write_ours(&mut writer, &about)?;
                        rdf = None;
                        done = true;
                    }
                    depth -= 1;
                    writer.write_event(Event::End(element)).ok()?;
                }
                Event::Eof => break,
                // Entities of one's own are no part of XMP.
                Event::DocType(_) => return None,
                other => writer.write_event(other).ok()?,
            }
        }
        let whole = done && depth == 0 && rdf.is_none();
        whole.then(|| String::from_utf8(writer.into_inner()).ok())?
    }

    /// A packet with nothing but the provenance; `None` without any.
    pub fn fresh(self) -> Option<String> {
        self.provenance?;
        let mut writer = Writer::new(Vec::new());
        self.write_ours(&mut writer, "")?;
        let ours = String::from_utf8(writer.into_inner()).ok()?;
        Some(format!(
            "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\
             <x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"{RDF}\">{ours}</rdf:RDF></x:xmpmeta>\
             <?xpacket end=\"w\"?>"
        ))
    }

    /// A description element with its attributes changed.
    fn description(
        self,
        reader: &NsReader<&[u8]>,
        element: &BytesStart,
        about: &mut String,
    ) -> Option<BytesStart<'static>> {
        let name = String::from_utf8(element.name().as_ref().to_vec()).ok()?;
        let mut changed = BytesStart::new(name);
        for attribute in element.attributes() {
            let mut attribute = attribute.ok()?;
            let (namespace, local) = reader.resolver().resolve_attribute(attribute.key);
            let namespace = namespace_of(namespace).unwrap_or_default();
            let local = std::str::from_utf8(local.as_ref()).ok()?;
            let declares = attribute.key.as_namespace_binding().is_some();
            if namespace == RDF && local == "about" {
                *about = String::from_utf8(attribute.value.to_vec()).ok()?;
            }
            let fate = match declares {
                true => Fate::Stays,
                false => self.fate(&namespace, local),
            };
            match fate {
                Fate::Stays => {}
                Fate::Goes => continue,
                Fate::Becomes(value) => attribute.value = value.into_bytes().into(),
            }
            changed.push_attribute(attribute);
        }
        Some(changed)
    }

    /// Where the picture comes from, for the description `about` (as it stands in the XML).
    fn write_ours(self, writer: &mut Writer<Vec<u8>>, about: &str) -> Option<()> {
        let Some(settings) = self.provenance else {
            return Some(());
        };
        let mut description = BytesStart::new("rdf:Description");
        for (name, value) in [
            ("xmlns:rdf", RDF),
            ("rdf:about", about),
            ("xmlns:Iptc4xmpExt", IPTC_EXTENSION),
            ("xmlns:minkds", OURS),
        ] {
            description.push_attribute((name.as_bytes(), value.as_bytes()));
        }
        writer.write_event(Event::Start(description)).ok()?;
        for (name, value) in [
            ("Iptc4xmpExt:DigitalSourceType", ENHANCED),
            ("minkds:settings", settings),
        ] {
            writer
                .write_event(Event::Start(BytesStart::new(name)))
                .ok()?;
            writer
                .write_event(Event::Text(BytesText::new(value)))
                .ok()?;
            writer.write_event(Event::End(BytesEnd::new(name))).ok()?;
        }
        let end = BytesEnd::new("rdf:Description");
        writer.write_event(Event::End(end)).ok()
    }
}

/// The packet as text, if it is a whole one.
pub(in super::super) fn parse(bytes: &[u8]) -> Option<String> {
    if bytes.len() > MAX_BYTES {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.trim_end_matches('\0');
    let nothing = Changes {
        width: 0,
        height: 0,
        provenance: None,
    };
    nothing.applied(text).map(|_| text.to_string())
}

/// The provenance that a packet has.
pub(in super::super) fn settings(packet: &str) -> Option<String> {
    let mut reader = NsReader::from_str(packet);
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => {
                let (namespace, name) = resolved(&reader, &element)?;
                if namespace == OURS && name == SETTINGS {
                    let text = reader.read_text(element.name()).ok()?;
                    let text = std::str::from_utf8(text.as_ref()).ok()?;
                    return unescape(text).ok().map(|text| text.into_owned());
                }
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// Namespace and local name of an element.
fn resolved(reader: &NsReader<&[u8]>, element: &BytesStart) -> Option<(String, String)> {
    let (namespace, local) = reader.resolver().resolve_element(element.name());
    let local = std::str::from_utf8(local.as_ref()).ok()?;
    Some((
        namespace_of(namespace).unwrap_or_default(),
        local.to_string(),
    ))
}

fn namespace_of(result: ResolveResult) -> Option<String> {
    match result {
        ResolveResult::Bound(namespace) => String::from_utf8(namespace.as_ref().to_vec()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGES: Changes = Changes {
        width: 400,
        height: 300,
        provenance: Some("a <b> & \"c\""),
    };

    fn packet(description: &str) -> String {
        format!(
            "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"{RDF}\">{description}</rdf:RDF></x:xmpmeta>"
        )
    }

    #[test]
    fn namespaces_count_and_not_their_prefixes() {
        let other = packet(&format!(
            "<rdf:Description rdf:about=\"uuid:1\" xmlns:t=\"{TIFF}\" xmlns:tiff=\"urn:other\" t:ImageWidth=\"7\" \
             tiff:ImageWidth=\"8\"><t:Orientation>6</t:Orientation><tiff:Orientation>6</tiff:Orientation>\
             </rdf:Description>"
        ));
        let changed = CHANGES.applied(&other).unwrap();
        assert!(changed.contains("t:ImageWidth=\"400\""), "{changed}");
        assert!(changed.contains("tiff:ImageWidth=\"8\""), "{changed}");
        assert!(
            changed.contains("<t:Orientation>1</t:Orientation>"),
            "{changed}"
        );
        assert!(
            changed.contains("<tiff:Orientation>6</tiff:Orientation>"),
            "{changed}"
        );
        // Ours says something of the same thing.
        assert_eq!(
            changed.matches("rdf:about=\"uuid:1\"").count(),
            2,
            "{changed}"
        );
        assert_eq!(settings(&changed).as_deref(), CHANGES.provenance);
    }

    #[test]
    fn a_second_brightness_and_thumbnails_go_and_changes_are_made_once() {
        let old = packet(&format!(
            "<rdf:Description rdf:about=\"\" xmlns:xmp=\"{XMP}\" xmlns:g=\"{GAIN_MAP}\" xmlns:c=\"{CONTAINER}\" \
             g:Version=\"1.0\"><xmp:Thumbnails><rdf:Alt/></xmp:Thumbnails><c:Directory><rdf:Seq/></c:Directory>\
             <xmp:Rating>5</xmp:Rating></rdf:Description>"
        ));
        let once = CHANGES.applied(&old).unwrap();
        for gone in ["Thumbnails", "g:Version", "Directory"] {
            assert!(!once.contains(gone), "{once}");
        }
        assert!(once.contains("<xmp:Rating>5</xmp:Rating>"));
        let twice = CHANGES.applied(&once).unwrap();
        assert_eq!(twice.matches("minkds:settings>").count(), 2, "{twice}");
        assert_eq!(
            twice.matches("algorithmicallyEnhanced").count(),
            1,
            "{twice}"
        );
    }

    #[test]
    fn what_is_no_packet_is_none() {
        let whole = CHANGES.fresh().unwrap();
        assert!(parse(whole.as_bytes()).is_some());
        for length in 0..whole.len() - 40 {
            let cut = &whole.as_bytes()[..length];
            assert!(parse(cut).is_none(), "{}", String::from_utf8_lossy(cut));
        }
        let bomb = format!("<!DOCTYPE x [<!ENTITY a \"aaaa\">]>{}", packet("&a;"));
        assert!(parse(bomb.as_bytes()).is_none());
        assert!(parse(b"\xFF\xFE<\0").is_none());
        assert!(
            Changes {
                provenance: None,
                ..CHANGES
            }
            .fresh()
            .is_none()
        );
    }
}
