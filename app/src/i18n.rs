//! All words of the pages, in English and Chinese. Labels of arguments come from the recipe's own table.

mod en;
mod fill;
mod names;
mod page;
mod said;
mod table;
mod zh;

pub use recipe::Lang;

pub use en::EN;
pub use fill::fill;
pub use names::{state_name, work_name};
pub use page::{lang, words, words_of};
pub use said::said;
pub use table::Words;
pub use zh::ZH;

#[cfg(test)]
mod tests;
