#include "registry/io/text_pool.hpp"

#include <utility>

namespace svc::registry {
namespace {

constexpr std::size_t kMaxSpare = 2;           // more are only in use together when many slow clients read lists
constexpr std::size_t kWorthKeeping = 65'536;  // bytes; below that malloc does the same

}  // namespace

std::string TextPool::take() {
  auto& spare = shared_->spare;
  std::string text;
  if (!spare.empty()) {
    text = std::move(spare.back());
    spare.pop_back();
    text.clear();
  }
  return text;
}

std::shared_ptr<const std::string> TextPool::share(std::string text) {
  const auto give_back = [weak = std::weak_ptr(shared_)](std::string* used) {
    const std::unique_ptr<std::string> owned(used);
    const auto shared = weak.lock();
    if (!shared) {
      return;
    }
    shared->outstanding -= used->size();
    // A fleet that has shrunk must not hold on to the room of the large one.
    const bool worth_keeping = used->capacity() >= kWorthKeeping && used->size() >= used->capacity() / 4;
    if (worth_keeping && shared->spare.size() < kMaxSpare) {
      shared->spare.push_back(std::move(*used));
    }
  };
  shared_->outstanding += text.size();
  return {new std::string(std::move(text)), give_back};
}

}  // namespace svc::registry
