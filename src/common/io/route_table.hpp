// (method, path pattern) -> handler. Patterns are literal segments and {parameters}: "/services/{name}/health".
//
// A path that no pattern matches is "not found"; one that matches for other methods only is "method not allowed" together
// with the value of the Allow field. GET routes serve HEAD. Segments are compared before percent-decoding, so a
// parameter may hold an encoded slash. One trailing slash is tolerated. Build it once, then it is immutable.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/core/percent_codec.hpp"

namespace svc {

template <class Handler>
class RouteTable {
 public:
  struct Route {
    std::string method;
    std::string pattern;
    Handler handler;
    std::vector<std::string> segments;  ///< of the pattern; "" stands for a parameter
  };

  struct Match {
    const Route* route = nullptr;     ///< set when found
    std::vector<std::string> params;  ///< decoded
    std::string allow;                ///< set when the path exists for other methods
    bool bad_encoding = false;        ///< a parameter could not be decoded
  };

  void add(std::string method, std::string pattern, Handler handler) {
    auto segments = split(pattern);
    std::vector<std::string> kept;
    for (const auto segment : segments) {
      kept.emplace_back(segment.starts_with('{') ? std::string_view() : segment);
    }
    routes_.push_back({std::move(method), std::move(pattern), std::move(handler), std::move(kept)});
  }

  Match find(std::string_view method, std::string_view path) const {
    Match match;
    const auto wanted = split(path);
    for (const auto& route : routes_) {
      if (!fits(route, wanted)) {
        continue;
      }
      if (route.method == method || (method == "HEAD" && route.method == "GET")) {
        match.allow.clear();
        take(route, wanted, match);
        return match;
      }
      allow(match.allow, route.method);
    }
    return match;
  }

  const std::vector<Route>& routes() const { return routes_; }

 private:
  static std::vector<std::string_view> split(std::string_view path) {
    std::vector<std::string_view> segments;
    if (path.size() > 1 && path.ends_with('/')) {
      path.remove_suffix(1);
    }
    while (!path.empty()) {
      path.remove_prefix(1);  // the slash
      const auto end = path.find('/');
      segments.push_back(path.substr(0, end));
      path = end == std::string_view::npos ? std::string_view() : path.substr(end);
    }
    return segments;
  }

  static bool fits(const Route& route, const std::vector<std::string_view>& wanted) {
    if (route.segments.size() != wanted.size()) {
      return false;
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const bool parameter = route.segments[i].empty() && route.pattern != "/";
      if (parameter ? wanted[i].empty() : route.segments[i] != wanted[i]) {
        return false;
      }
    }
    return true;
  }

  static void take(const Route& route, const std::vector<std::string_view>& wanted, Match& match) {
    match.route = &route;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (!route.segments[i].empty() || route.pattern == "/") {
        continue;
      }
      auto decoded = percent_decode(wanted[i]);
      if (!decoded) {
        match.bad_encoding = true;
        return;
      }
      match.params.push_back(*std::move(decoded));
    }
  }

  static void allow(std::string& list, const std::string& method) {
    const auto append = [&list](std::string_view name) { list.append(list.empty() ? "" : ", ").append(name); };
    append(method);
    if (method == "GET") {
      append("HEAD");
    }
  }

  std::vector<Route> routes_;
};

}  // namespace svc
