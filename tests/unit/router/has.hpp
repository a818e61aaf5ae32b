// Whether a head that was written has a piece of text.
#pragma once

#include <string>

namespace svc::router {

inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace svc::router
