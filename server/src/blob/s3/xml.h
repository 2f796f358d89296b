// The XML that S3 answers with: elements and text, nothing else. A small strict reader: whatever it
// does not know (document types, processing instructions, CDATA) is refused rather than guessed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace mc::blob {

struct XmlElement {
  std::string name;  // without a namespace's prefix
  std::string text;  // of its own, not of its children
  std::vector<XmlElement> children;

  const XmlElement* child(std::string_view wanted) const;
  // The child's text, or "".
  const std::string& text_of(std::string_view wanted) const;
};

inline constexpr std::size_t kXmlDepthMax = 16;
inline constexpr std::size_t kXmlElementsMax = 100'000;  // a page of a listing has some 6,000

// The root. Attributes are read over. Errors: malformed_request with the offset.
Result<XmlElement> read_xml(std::string_view text);
// Text for an element: & < > " as entities.
std::string xml_text(std::string_view text);

}  // namespace mc::blob
