// How many requests an engine works on and lets wait, out of its own metrics page: vLLM's, SGLang's and llama.cpp's have
// it; InfiniLM has no such page. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace svc::agent {

struct EngineRequests {
  std::optional<std::uint64_t> running, waiting;  ///< nullopt: the page does not tell

  [[nodiscard]] bool known() const { return running || waiting; }
};

/// `page` in the text format of Prometheus. Series of one name (one for each model or engine inside) are summed up; what
/// is not a whole number or more than a million counts as not told.
[[nodiscard]] EngineRequests parse_engine_requests(std::string_view page);

}  // namespace svc::agent
