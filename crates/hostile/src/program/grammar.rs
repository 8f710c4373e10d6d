//! Declares the parts of a program that are one of several forms.

/// Makes an enum of operations, each with its family, its weight and its parts.
macro_rules! grammar {
    ($(#[$about:meta])* $visibility:vis enum $Name:ident {
        $($family:ident { $($weight:literal $op:ident($($field:ident: $part:ty),*),)* })*
    }) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq)]
        $visibility enum $Name {
            $($($op($($part),*),)*)*
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut writer = Writer::default();
                self.write(&mut writer);
                f.write_str(&writer.finish())
            }
        }

        impl Part for $Name {
            fn generate(source: &mut Gen) -> Self {
                type Make = fn(&mut Gen) -> $Name;
                const KINDS: &[(Family, u32, Make)] = &[
                    $($((
                        Family::$family,
                        $weight,
                        |_source| $Name::$op($(<$part as Part>::generate(_source)),*),
                    ),)*)*
                ];
                let weights = KINDS.iter().map(|kind| source.weight(kind.0, kind.1));
                let weights: Vec<u32> = weights.collect();
                let index = source.weighted(&weights);
                (KINDS[index].2)(source)
            }

            fn write(&self, to: &mut Writer) {
                match self {
                    $($(Self::$op($($field),*) => {
                        to.open(stringify!($op));
                        $(to.part($field);)*
                        to.close();
                    })*)*
                }
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, String> {
                let name = from.open()?;
                let read = match &*name {
                    $($(stringify!($op) => Self::$op($(from.part::<$part>()?),*),)*)*
                    _ => return Err(format!("'{name}' is no {}", stringify!($Name))),
                };
                from.close()?;
                Ok(read)
            }

            fn each_script(&mut self, visit: &mut dyn FnMut(&mut Script)) {
                // In an enum whose forms all have no parts, nothing else uses it.
                let _ = &visit;
                match self {
                    $($(Self::$op($($field),*) => {
                        $($field.each_script(visit);)*
                    })*)*
                }
            }
        }
    };
}
