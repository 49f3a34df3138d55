// Builds a visitor for std::visit from lambdas, one for each alternative. A missing one does not
// compile.
#pragma once

namespace vesper {

template <typename... Lambdas>
struct Overloaded : Lambdas... {
  using Lambdas::operator()...;
};
template <typename... Lambdas>
Overloaded(Lambdas...) -> Overloaded<Lambdas...>;

}  // namespace vesper
