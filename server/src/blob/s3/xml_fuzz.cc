// Any bytes: read_xml answers or refuses, and what it read survives being written and read again.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "blob/s3/xml.h"

namespace {
std::string written(const mc::blob::XmlElement& element) {
  std::string out = "<" + element.name + ">" + mc::blob::xml_text(element.text);
  for (const mc::blob::XmlElement& child : element.children) out += written(child);
  return out + "</" + element.name + ">";
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto root = mc::blob::read_xml({reinterpret_cast<const char*>(data), size});
  if (!root) return 0;
  const std::string once = written(*root);
  const auto again = mc::blob::read_xml(once);
  MC_CHECK(again && written(*again) == once);
  return 0;
}
