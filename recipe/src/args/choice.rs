//! How an argument that takes one of a few names is declared.

/// Declares enums whose values have a name in YAML (with synonyms) and a label, and which names of LLaMA-Factory are
/// not supported yet: all there is to say of a value.
macro_rules! choices {
    ($(
        $(#[$meta:meta])*
        $name:ident $(unsupported [$($refused:literal),+ $(,)?])? {
            $( $(#[$doc:meta])* $variant:ident = $value:literal $(| $synonym:literal)* { $($label:tt)+ } )+
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$doc])* #[doc = concat!("`", $value, "` in YAML.")] $variant, )+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The name in YAML.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $value,)+ }
            }

            /// The name for people.
            pub const fn label(self) -> $crate::text::Text {
                match self { $($name::$variant => words! { $($label)+ },)+ }
            }

            /// The value with this name or synonym.
            pub fn from_name(name: &str) -> Option<$name> {
                match name {
                    $($value $(| $synonym)* => Some($name::$variant),)+
                    _ => None,
                }
            }
        }

        impl $crate::args::field::Typed for $name {
            const KIND: $crate::args::kind::Kind = $crate::args::kind::Kind::Choice(&[
                $($crate::args::kind::Choice { value: $value, label: words! { $($label)+ } }),+
            ]);
            $(const REFUSED: &'static [&'static str] = &[$($refused),+];)?
        }

        impl $crate::args::field::Field for $name {
            fn read(&mut self, raw: &$crate::raw::Raw) -> Result<(), $crate::args::field::WrongType> {
                let name = raw.scalar().ok_or($crate::args::field::WrongType)?.to_ascii_lowercase();
                *self = $name::from_name(&name).ok_or($crate::args::field::WrongType)?;
                Ok(())
            }

            fn show(&self) -> $crate::args::field::Shown {
                $crate::args::field::Shown::Text(self.name().to_owned())
            }
        }

        impl $crate::args::field::Initial for $name {
            fn initial() -> $name {
                $name::ALL[0]
            }
        }
    )+};
}

pub(super) use choices;
