// Buffers for large answers, used again: a list of ten thousand services is megabytes, and taking fresh pages from the
// kernel for each one costs more than writing it. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace svc::registry {

class TextPool {
 public:
  TextPool() : spare_(std::make_shared<std::vector<std::string>>()) {}

  /// An empty string, with the room of an earlier answer if there is one.
  std::string take();
  /// The buffer comes back when the last user of the text has let go, which may be after the pool has gone.
  std::shared_ptr<const std::string> share(std::string text);

 private:
  std::shared_ptr<std::vector<std::string>> spare_;
};

}  // namespace svc::registry
