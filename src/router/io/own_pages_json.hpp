// What the files of own_pages share.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "common/core/clock.hpp"
#include "router/io/own_pages.hpp"
#include "router/io/router_settings.hpp"

namespace svc::router {

using nlohmann::ordered_json;

inline OwnAnswer json_answer(const ordered_json& json, int status = 200) {
  return {status, "application/json", json.dump(-1, ' ', false, ordered_json::error_handler_t::replace), ""};
}

/// To the millisecond: nobody reads more.
inline double rounded_seconds(Duration time) {
  return static_cast<double>(std::chrono::floor<std::chrono::milliseconds>(time).count()) / 1000.0;
}
inline double rounded_seconds(double seconds) {
  return rounded_seconds(Duration(static_cast<std::int64_t>(seconds * 1e9)));
}

inline ordered_json registry_url_json(const ControlView& view) {
  return view.settings->registry_url.empty() ? ordered_json(nullptr) : ordered_json(view.settings->registry_url);
}

struct UsableCount {
  std::size_t usable = 0, all = 0;
};
inline UsableCount count_usable(const ControlView& view) {
  UsableCount count;
  for (const auto& upstream : view.table->upstreams()) {
    ++count.all;
    count.usable += upstream.live->usable(view.now) ? 1U : 0U;
  }
  return count;
}

}  // namespace svc::router
